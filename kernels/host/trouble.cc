// What kernels report, read from host memory without any CUDA call. Thread-safe.
#include <cinttypes>
#include <cstdio>

#include "kernels/host/versioned.h"
#include "kernels/host/workspace.h"
#include "kernels/trouble_reader.h"

namespace lamplight::kernels {
namespace {

void Describe(const Diagnostic& from, lamplight_trouble* to) {
  to->kind = from.trouble;
  to->workspace = from.workspace;
  to->epoch = from.epoch;
  to->waited_ns = from.waited_ns;
  to->rank = from.rank;
  to->peer = from.peer;
  to->index = from.index;
  to->stage = from.stage;
  to->token = from.token;
  to->word = from.word;
  std::memcpy(to->bits, from.bits, sizeof to->bits);
  to->arrivals = from.arrivals;
  to->tokens = from.tokens;
  to->hidden = from.hidden;
  to->call = from.kind;
  to->peer_tokens = from.peer_tokens;
  to->peer_hidden = from.peer_hidden;
  to->peer_call = from.peer_kind;
}

int Sentence(const lamplight_trouble& t, char* text, size_t bytes) {
  const double waited = static_cast<double>(t.waited_ns) * 1e-9;
  switch (t.kind) {
    case LAMPLIGHT_TROUBLE_NONE:
      return std::snprintf(text, bytes, "no trouble");
    case LAMPLIGHT_TROUBLE_TIMEOUT:
      return std::snprintf(text, bytes,
                           "rank %u has waited %.3f s for rank %u: token %u, word %u, stage %u of "
                           "generation %u holds %08x (call %" PRIu64 ", %u tokens of %u)",
                           t.rank, waited, t.peer, t.token, t.word, t.stage, t.index, t.bits[0],
                           t.epoch, t.tokens, t.hidden);
    case LAMPLIGHT_TROUBLE_DIVERGENCE:
      return std::snprintf(text, bytes,
                           "rank %u makes call %" PRIu64
                           " with %u tokens of %u (kind %#x), rank %u "
                           "with %u tokens of %u (kind %#x)",
                           t.rank, t.epoch, t.tokens, t.hidden, t.call, t.peer, t.peer_tokens,
                           t.peer_hidden, t.peer_call);
    case LAMPLIGHT_TROUBLE_CAPACITY:
      return std::snprintf(text, bytes,
                           "rank %u refused a call of %u tokens of %u: its state words describe a "
                           "smaller workspace",
                           t.rank, t.tokens, t.hidden);
    case LAMPLIGHT_TROUBLE_CORRUPT_STATE:
      return std::snprintf(
          text, bytes,
          "rank %u refused a call: the state words of its workspace are impossible "
          "(index %u)",
          t.rank, t.index);
    case LAMPLIGHT_TROUBLE_ARRIVAL_RESIDUE:
      return std::snprintf(
          text, bytes,
          "rank %u found %u arrivals left over in a call of %u tokens: another kernel counted "
          "in its workspace at the same time, or left it in the middle",
          t.rank, t.arrivals, t.tokens);
    case LAMPLIGHT_TROUBLE_MISALIGNED:
      return std::snprintf(text, bytes, "rank %u refused a call: an address is misaligned", t.rank);
    default:
      return std::snprintf(text, bytes,
                           "rank %u reports trouble %u, which this version does not know", t.rank,
                           t.kind);
  }
}

}  // namespace

Status QueryTrouble(const Workspace& workspace, lamplight_trouble* to) {
  lamplight_trouble trouble;
  // Every caller has a kind and who waits for whom.
  constexpr size_t kLeast = LAMPLIGHT_BYTES_THROUGH(lamplight_trouble, peer);
  if (to == nullptr) return Error(LAMPLIGHT_ERROR_NULL, "trouble is null");
  const uint32_t size = to->struct_size;
  if (size < kLeast) {
    return Error(LAMPLIGHT_ERROR_STRUCT_SIZE,
                 "trouble->struct_size is %u: set it to sizeof(lamplight_trouble), %zu", size,
                 sizeof trouble);
  }
  trouble = {};
  const Diagnostic found = ReadTrouble(*workspace.trouble());
  if (found.trouble != LAMPLIGHT_TROUBLE_NONE) Describe(found, &trouble);
  trouble.struct_size = size;
  std::memset(to, 0, size);
  std::memcpy(to, &trouble, std::min<size_t>(size, sizeof trouble));
  return {};
}

void ForgetTrouble(const Workspace& workspace) { ForgetTrouble(*workspace.trouble()); }

size_t TroubleText(const lamplight_trouble& trouble, char* buffer, size_t bytes) {
  char text[256];
  Sentence(trouble, text, sizeof text);
  return CopyText(text, buffer, bytes);
}

}  // namespace lamplight::kernels
