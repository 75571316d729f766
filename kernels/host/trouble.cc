// What kernels report, read from host memory without any CUDA call. Thread-safe.
#include <cstdio>
#include <cstring>

#include "kernels/host/versioned.h"
#include "kernels/host/workspace.h"
#include "kernels/trouble_reader.h"
#include "kernels/trouble_text.h"

namespace lamplight::kernels {
namespace {

// Every caller has a kind and who waits for whom.
constexpr size_t kLeast = LAMPLIGHT_BYTES_THROUGH(lamplight_trouble, peer);

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

// As far as the text needs it.
Diagnostic Described(const lamplight_trouble& from) {
  Diagnostic to{};
  to.trouble = from.kind;
  to.epoch = from.epoch;
  to.waited_ns = from.waited_ns;
  to.index = from.index;
  to.rank = from.rank;
  to.peer = from.peer;
  to.token = from.token;
  to.word = from.word;
  to.stage = from.stage;
  std::memcpy(to.bits, from.bits, sizeof to.bits);
  to.arrivals = from.arrivals;
  to.tokens = from.tokens;
  to.hidden = from.hidden;
  to.kind = from.call;
  to.peer_tokens = from.peer_tokens;
  to.peer_hidden = from.peer_hidden;
  to.peer_kind = from.peer_call;
  return to;
}

}  // namespace

Status QueryTrouble(const Workspace& workspace, lamplight_trouble* to) {
  lamplight_trouble trouble;
  if (to == nullptr) return Error(LAMPLIGHT_ERROR_NULL, "trouble is null");
  const uint32_t size = to->struct_size;
  LAMPLIGHT_TRY(CheckStructSize(size, kLeast, "trouble"));
  trouble = {};
  const Diagnostic found = ReadTrouble(*workspace.trouble());
  if (found.trouble != LAMPLIGHT_TROUBLE_NONE) Describe(found, &trouble);
  trouble.struct_size = size;
  std::memset(to, 0, size);
  std::memcpy(to, &trouble, std::min<size_t>(size, sizeof trouble));
  return {};
}

void ForgetTrouble(const Workspace& workspace) { ForgetTrouble(*workspace.trouble()); }

size_t TroubleText(const lamplight_trouble& from, char* buffer, size_t bytes) {
  char text[256];
  const uint32_t size = from.struct_size;
  if (size < kLeast || size > kMostStructBytes) {
    std::snprintf(text, sizeof text,
                  "trouble->struct_size is %u: set it to sizeof(lamplight_trouble)", size);
    return CopyText(text, buffer, bytes);
  }
  lamplight_trouble trouble{};
  std::memcpy(&trouble, &from, std::min<size_t>(size, sizeof trouble));
  TroubleText(Described(trouble), text, sizeof text);
  return CopyText(text, buffer, bytes);
}

}  // namespace lamplight::kernels
