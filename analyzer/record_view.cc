// Bounds checks of a record's content, and text made safe to print. Thread-safe: no state.
#include "analyzer/record_view.h"

#include <algorithm>
#include <array>

#include "analyzer/record_fields.h"

namespace lamplight {
namespace {

using trace::Str;

// The elements behind a record's struct, as many as it really holds.
template <class Element, class Record>
std::vector<Element> Elements(const RecordView& view, const Record& record) {
  std::vector<Element> elements;
  for (uint32_t i = 0; i < record.frames; ++i) {
    const auto element = view.At<Element>(sizeof(Record) + size_t{i} * sizeof(Element));
    if (!element) break;
    elements.push_back(*element);
  }
  return elements;
}

// Length of the UTF-8 sequence at `text`, 0: none (overlong, surrogate, cut or stray bytes).
size_t Utf8Length(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = at(0);
  const size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  const uint8_t second = at(1);
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second >= 0xa0)) return 0;
  if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second >= 0x90)) return 0;
  if (lead == 0xc2 && second < 0xa0) return 0;  // C1 controls move cursors on some terminals
  return length;
}

void AppendEscaped(std::string* out, uint8_t byte) {
  static constexpr char kHex[] = "0123456789abcdef";
  *out += "\\x";
  *out += kHex[byte >> 4];
  *out += kHex[byte & 15];
}

}  // namespace

std::string Sanitized(std::string_view text, bool keep_newlines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto byte = static_cast<uint8_t>(text[0]);
    const bool plain = (byte >= 0x20 && byte < 0x7f) || (keep_newlines && byte == '\n');
    const size_t length = plain ? 1 : byte < 0x80 ? 0 : Utf8Length(text);
    if (length == 0) {
      AppendEscaped(&out, byte);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string_view RecordView::RawText(Str string) const {
  if (string.bytes == 0 || !Holds(string)) return {};
  return {reinterpret_cast<const char*>(bytes_.data()) + string.offset, string.bytes};
}

std::vector<trace::Frame> RecordView::Frames(const trace::Site& site) const {
  return Elements<trace::Frame>(*this, site);
}

std::vector<trace::PythonFrame> RecordView::Frames(const trace::PythonSite& site) const {
  return Elements<trace::PythonFrame>(*this, site);
}

std::string RecordView::Defect() const {
  std::string defect;
  const auto check_string = [&](const char* name, const auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, Str>) {
      if (!Holds(value)) defect = std::string("string '") + name + "' leaves the record";
    }
  };
  Dispatch(type(), [&]<class T>(std::type_identity<T>, const char*) {
    const auto record = As<T>();
    if (!record) {
      defect = "shorter than its type";
      return;
    }
    Fields(*record, check_string);
    if constexpr (requires { Frames(*record); }) {
      const auto frames = Frames(*record);
      if (frames.size() < record->frames) defect = "fewer frames than it says";
      for (const auto& frame : frames) Fields(frame, check_string);
    }
  });
  return defect;
}

std::string RecordTypeName(trace::RecordType type) {
  std::string name = "type " + std::to_string(static_cast<unsigned>(type));
  Dispatch(type, [&](auto, const char* known) { name = known; });
  return name;
}

}  // namespace lamplight
