// Recursive descent over <template-args>; the grammar is that of the Itanium C++ ABI, section 5.1.
// Stateless, hence thread-safe.
#include "shim/lamport/mangled_name.h"

#include <charconv>
#include <limits>

namespace lamplight::lamport {
namespace {

constexpr int kMaxDepth = 32;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Invariant: `at_` never passes the end and every Skip… that returns true has consumed something.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  size_t at() const { return at_; }
  std::string_view Since(size_t begin) const { return text_.substr(begin, at_ - begin); }
  std::string_view Rest() const { return text_.substr(at_); }

  bool Take(char c) {
    if (Peek() != c) return false;
    ++at_;
    return true;
  }

  bool SkipArgument() {
    const Depth depth(this);
    if (!depth.ok()) return false;
    if (Take('L')) return SkipLiteral();
    if (Take('J')) return SkipUntilEnd(&Cursor::SkipArgument);
    return SkipType();
  }

 private:
  class Depth {
   public:
    explicit Depth(Cursor* cursor) : cursor_(cursor) { ++cursor_->depth_; }
    ~Depth() { --cursor_->depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;
    bool ok() const { return cursor_->depth_ <= kMaxDepth; }

   private:
    Cursor* cursor_;
  };

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool SkipUntilEnd(bool (Cursor::*skip_one)()) {
    while (!Take('E')) {
      if (!(this->*skip_one)()) return false;
    }
    return true;
  }

  // After 'L': a type, a number, 'E'. Literals that are symbols ("L_Z…E") do not occur in kernels.
  bool SkipLiteral() {
    if (!SkipType()) return false;
    Take('n');
    while (IsDigit(Peek())) ++at_;
    return Take('E');
  }

  bool SkipType() {
    const Depth depth(this);
    if (!depth.ok()) return false;
    while (Peek() != '\0' && std::string_view("PRKVO").find(Peek()) != std::string_view::npos)
      ++at_;
    const char c = Peek();
    if (IsDigit(c)) return SkipSourceName() && SkipOptionalArguments();
    if (Take('N')) return SkipUntilEnd(&Cursor::SkipNamePart);
    if (Take('S')) return SkipSubstitution();
    if (Take('T')) return SkipSequence();
    if (Take('D')) return SkipExtendedBuiltin();
    if (Take('A')) return SkipArray();
    if (Take('F')) return SkipUntilEnd(&Cursor::SkipType);
    if (c < 'a' || c > 'z' || c == 'u') return false;
    ++at_;
    return true;
  }

  bool SkipNamePart() {
    if (IsDigit(Peek())) return SkipSourceName();
    if (Take('S')) return SkipSubstitution();
    if (Take('I')) return SkipUntilEnd(&Cursor::SkipArgument);
    return Take('L') || Take('K');
  }

  bool SkipOptionalArguments() { return !Take('I') || SkipUntilEnd(&Cursor::SkipArgument); }

  bool SkipSourceName() {
    size_t length = 0;
    while (IsDigit(Peek())) {
      length = length * 10 + static_cast<size_t>(text_[at_++] - '0');
      if (length > text_.size()) return false;
    }
    if (length == 0 || length > text_.size() - at_) return false;
    at_ += length;
    return true;
  }

  // After 'S': "_", a sequence number, or one of the standard abbreviations.
  bool SkipSubstitution() {
    if (Take('t')) return SkipSourceName() && SkipOptionalArguments();
    const char c = Peek();
    if (c >= 'a' && c <= 'z') {
      ++at_;
      return true;
    }
    return SkipSequence() && SkipOptionalArguments();
  }

  bool SkipSequence() {
    while (IsDigit(Peek()) || (Peek() >= 'A' && Peek() <= 'Z')) ++at_;
    return Take('_');
  }

  // After 'D': "F16_", "F16b", "h", "n", …
  bool SkipExtendedBuiltin() {
    if (!Take('F')) {
      const char c = Peek();
      if (c < 'a' || c > 'z' || c == 't' || c == 'T' || c == 'p') return false;
      ++at_;
      return true;
    }
    while (IsDigit(Peek())) ++at_;
    return Take('_') || Take('b') || Take('x');
  }

  bool SkipArray() {
    while (IsDigit(Peek())) ++at_;
    return Take('_') && SkipType();
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::optional<TemplateArguments> ParseTemplateArguments(std::string_view text) {
  Cursor cursor(text);
  if (!cursor.Take('I')) return std::nullopt;
  TemplateArguments result;
  while (!cursor.Take('E')) {
    const size_t begin = cursor.at();
    if (!cursor.SkipArgument()) return std::nullopt;
    result.arguments.push_back(cursor.Since(begin));
  }
  result.rest = cursor.Rest();
  return result;
}

std::optional<uint32_t> LiteralValue(std::string_view argument) {
  if (argument.size() < 4 || argument.front() != 'L' || argument.back() != 'E') return std::nullopt;
  const size_t type_end = argument.find_first_of("0123456789", 1);
  if (type_end != 2) return std::nullopt;  // a builtin type is one letter
  const char* begin = argument.data() + type_end;
  const char* end = argument.data() + argument.size() - 1;
  uint32_t value = 0;
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace lamplight::lamport
