// Typed access with places; see the header for threads.
#include "shim/lamport/json_reader.h"

namespace lamplight::lamport {
namespace {

using nlohmann::json;

constexpr size_t kShownBytes = 60;
constexpr size_t kMaxMessages = 20;  // of one file
const json kNothing;

}  // namespace

void JsonErrors::Add(const std::string& path, const std::string& message) {
  ++count_;
  if (count_ > kMaxMessages || messages_ == nullptr) return;
  const bool last = count_ == kMaxMessages;
  messages_->push_back(file_ + ": " + (path.empty() ? "/" : path) + " " + message +
                       (last ? " (further errors of this file are not shown)" : ""));
}

bool JsonReader::IsObject(std::initializer_list<std::string_view> known_keys) const {
  if (!json_.is_object()) {
    Complain("is " + Shown() + ", expected an object");
    return false;
  }
  for (const auto& [key, value] : json_.items()) {
    if (std::find(known_keys.begin(), known_keys.end(), key) != known_keys.end()) continue;
    std::string known;
    for (const std::string_view name : known_keys) {
      known.append(known.empty() ? "" : ", ").append(name);
    }
    JsonReader(value, path_ + "/" + key, errors_).Complain("is not a known key; known: " + known);
  }
  return true;
}

std::vector<JsonReader> JsonReader::Array(const char* key) const {
  const JsonReader member = Member(key);
  if (!member.json_.is_array()) {
    member.Complain("is " + member.Shown() + ", expected an array");
    return {};
  }
  std::vector<JsonReader> elements;
  for (const json& element : member.json_) {
    elements.emplace_back(element, member.path_ + "/" + std::to_string(elements.size()), errors_);
  }
  return elements;
}

JsonReader JsonReader::Member(const char* key) const {
  return {Has(key) ? json_[key] : kNothing, path_ + "/" + key, errors_};
}

std::vector<std::pair<std::string, JsonReader>> JsonReader::Members() const {
  std::vector<std::pair<std::string, JsonReader>> members;
  if (!json_.is_object()) return members;
  for (const auto& [key, value] : json_.items()) {
    members.emplace_back(key, JsonReader(value, path_ + "/" + key, errors_));
  }
  return members;
}

std::string JsonReader::Text(const char* key, std::string fallback) const {
  return Has(key) ? Member(key).OwnText() : fallback;
}

std::string JsonReader::OwnText() const {
  if (json_.is_string() && !json_.get_ref<const std::string&>().empty()) return json_;
  Complain("is " + Shown() + ", expected a non-empty string");
  return {};
}

uint32_t JsonReader::Number(const char* key, uint32_t fallback, uint32_t min, uint32_t max) const {
  if (!Has(key)) return fallback;
  const JsonReader member = Member(key);
  if (member.json_.is_number_unsigned()) {
    const uint64_t value = member.json_.get<uint64_t>();
    if (value >= min && value <= max) return static_cast<uint32_t>(value);
  }
  member.Complain("is " + member.Shown() + ", expected a whole number from " + std::to_string(min) +
                  " to " + std::to_string(max));
  return fallback;
}

bool JsonReader::Is(std::string_view name) const {
  if (json_.is_boolean()) return name == (json_.get<bool>() ? "true" : "false");
  return json_.is_string() && json_.get_ref<const std::string&>() == name;
}

std::string JsonReader::Shown() const {
  if (json_.is_null()) return "missing";
  std::string text = json_.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > kShownBytes) text = text.substr(0, kShownBytes) + "…";
  return text;
}

}  // namespace lamplight::lamport
