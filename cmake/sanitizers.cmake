# LAMPLIGHT_SANITIZE=address,undefined or thread: the whole C++ tree under these sanitizers. Device
# code is left alone; nvcc hands the host part of .cu files to the same compiler.
set(LAMPLIGHT_SANITIZE "" CACHE STRING "Sanitizers of the presets asan and tsan")
if(LAMPLIGHT_SANITIZE)
  add_compile_options(
    "$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${LAMPLIGHT_SANITIZE}>"
    "$<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize-recover=all>"
    "$<$<COMPILE_LANGUAGE:CXX>:-fno-omit-frame-pointer>")
  add_link_options("$<$<LINK_LANGUAGE:CXX>:-fsanitize=${LAMPLIGHT_SANITIZE}>"
    "$<$<LINK_LANGUAGE:CUDA>:-fsanitize=${LAMPLIGHT_SANITIZE}>")
endif()
