// A JSON value together with its place in its file, for error messages that name both.
//
// One file is read by one thread. Nothing throws but allocation failures.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lamplight::lamport {

// The messages of one file.
class JsonErrors {
 public:
  JsonErrors(std::string file, std::vector<std::string>* messages)
      : file_(std::move(file)), messages_(messages) {}

  void Add(const std::string& path, const std::string& message);
  const std::string& file() const { return file_; }
  size_t count() const { return count_; }

 private:
  std::string file_;
  std::vector<std::string>* messages_;
  size_t count_ = 0;
};

// Invariant: `json_` outlives the reader. Every getter that fails leaves one message and returns
// the fallback.
class JsonReader {
 public:
  template <class T>
  using Names = std::initializer_list<std::pair<std::string_view, T>>;

  JsonReader(const nlohmann::json& json, std::string path, JsonErrors* errors)
      : json_(json), path_(std::move(path)), errors_(errors) {}

  const std::string& path() const { return path_; }
  bool Has(const char* key) const { return json_.is_object() && json_.contains(key); }
  // Complains unless this is an object with no other than the given keys.
  bool IsObject(std::initializer_list<std::string_view> known_keys) const;
  // The elements of the array under `key`; complains where there is none.
  std::vector<JsonReader> Array(const char* key) const;
  JsonReader Member(const char* key) const;
  // The members of this object.
  std::vector<std::pair<std::string, JsonReader>> Members() const;

  std::string Text(const char* key, std::string fallback = {}) const;
  std::string OwnText() const;
  uint32_t Number(const char* key, uint32_t fallback, uint32_t min, uint32_t max) const;
  template <class T>
  T OneOf(const char* key, T fallback, Names<T> names) const {
    return Has(key) ? Member(key).OwnOneOf(fallback, names) : fallback;
  }
  template <class T>
  T OwnOneOf(T fallback, Names<T> names) const {
    for (const auto& [name, value] : names) {
      if (Is(name)) return value;
    }
    std::string known;
    for (const auto& [name, value] : names) known.append(known.empty() ? "" : ", ").append(name);
    Complain("is " + Shown() + ", expected one of " + known);
    return fallback;
  }
  void Complain(const std::string& message) const { errors_->Add(path_, message); }

 private:
  // A string, or the word for a boolean.
  bool Is(std::string_view name) const;
  std::string Shown() const;

  const nlohmann::json& json_;
  std::string path_;
  JsonErrors* errors_;
};

}  // namespace lamplight::lamport
