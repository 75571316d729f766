// Lays out plain text: headings, wrapped paragraphs, lists, columns. One report per object; not
// thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lamplight {

class TextWriter {
 public:
  static constexpr size_t kColumns = 96;

  void Line(std::string_view text = {});
  // Cut at the last column: for names that may be very long.
  void Clipped(std::string_view text);
  void Rule();
  void Heading(std::string_view text);
  // Wrapped at word ends; `first` stands before the first line, the others are indented alike.
  void Paragraph(std::string_view first, std::string_view text);
  void List(const std::vector<std::string>& items, std::string_view indent);
  void Numbered(const std::vector<std::string>& items, std::string_view indent);
  // Columns as wide as their widest cell; the first row is the heading.
  void Table(const std::vector<std::vector<std::string>>& rows, std::string_view indent);

  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace lamplight
