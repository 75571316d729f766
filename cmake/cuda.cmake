# The CUDA language in C++20 and the toolkit, with what CMake 3.25 lacks for CUDA 12 and 13.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100)
endif()
enable_language(CUDA)

# CMake 3.25 does not know that nvcc has C++20.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)

# CMake 3.25 marks CUDA::nvToolsExt as deprecated without looking whether there is one, and CUDA 13
# has none; it does so only for projects that ask for 3.25.
set(lamplight_minimum_cmake ${CMAKE_MINIMUM_REQUIRED_VERSION})
set(CMAKE_MINIMUM_REQUIRED_VERSION 3.24)
find_package(CUDAToolkit 12.0 REQUIRED)
set(CMAKE_MINIMUM_REQUIRED_VERSION ${lamplight_minimum_cmake})
