// Plain ASCII, so that it reads the same in a log, a mail and a terminal.
#include "analyzer/report/text_writer.h"

#include <algorithm>

namespace lamplight {

void TextWriter::Line(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  text_ += text;
  text_ += '\n';
}

void TextWriter::Clipped(std::string_view text) {
  if (text.size() <= kColumns) return Line(text);
  Line(std::string(text.substr(0, kColumns - 3)) + "...");
}

void TextWriter::Rule() { Line(std::string(kColumns, '-')); }

void TextWriter::Heading(std::string_view text) {
  Line();
  Line(text);
}

void TextWriter::Paragraph(std::string_view first, std::string_view text) {
  const std::string indent(first.size(), ' ');
  std::string line(first);
  bool empty = true;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (!empty && line.size() + 1 + word.size() > kColumns) {
      Line(line);
      line = indent;
      empty = true;
    }
    if (!empty) line += ' ';
    line += word;
    empty = false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  Line(line);
}

void TextWriter::List(const std::vector<std::string>& items, std::string_view indent) {
  for (const std::string& item : items) Paragraph(std::string(indent) + "- ", item);
}

void TextWriter::Numbered(const std::vector<std::string>& items, std::string_view indent) {
  for (size_t i = 0; i < items.size(); ++i) {
    Paragraph(std::string(indent) + std::to_string(i + 1) + ". ", items[i]);
  }
}

void TextWriter::Table(const std::vector<std::vector<std::string>>& rows, std::string_view indent) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line(indent);
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
    }
    Line(line);
  }
}

}  // namespace lamplight
