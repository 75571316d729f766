# Warnings for our own C++ targets: target_link_libraries(x PRIVATE lamplight_warnings).
add_library(lamplight_warnings INTERFACE)
target_compile_options(lamplight_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers>)
