# The CUDA toolkit and cuDNN 9 for the cuda device. Sets dinf_cuda; under AUTO
# whatever is missing is named and the build goes on without the device.
set(dinf_cuda OFF)

function(cuda_missing what)
  if(DINF_CUDA STREQUAL "AUTO")
    message(STATUS "Without the cuda device: ${what}")
  else()
    message(FATAL_ERROR "DINF_CUDA=${DINF_CUDA}: ${what}")
  endif()
endfunction()

find_program(DINF_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
if(NOT DINF_NVCC)
  cuda_missing("no nvcc on PATH, in CUDA_HOME or in /usr/local/cuda")
  return()
endif()
include(CheckLanguage)
set(ENV{CUDACXX} ${DINF_NVCC}) # check_language looks at nothing if a compiler is set already
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  cuda_missing("${DINF_NVCC} compiles nothing here")
  return()
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90) # native for A100 and H100, PTX of 9.0 for what is newer
endif()
enable_language(CUDA)
find_package(CUDAToolkit 12)
find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} $ENV{CUDNN_ROOT}/include)
find_library(CUDNN_LIBRARY cudnn HINTS ${CUDAToolkit_LIBRARY_DIR} $ENV{CUDNN_ROOT}/lib $ENV{CUDNN_ROOT}/lib64)
if(NOT TARGET CUDA::cudart_static OR NOT TARGET CUDA::cublas OR NOT TARGET CUDA::cublasLt OR
   NOT TARGET CUDA::cusolver)
  cuda_missing("the toolkit of ${DINF_NVCC} lacks cuBLAS, cuSOLVER or the static runtime, or is older than 12")
  return()
endif()
if(NOT CUDNN_INCLUDE_DIR OR NOT CUDNN_LIBRARY)
  cuda_missing("no cuDNN; CUDNN_ROOT tells where it is")
  return()
endif()
file(STRINGS ${CUDNN_INCLUDE_DIR}/cudnn_version.h cudnn_major REGEX "^#define CUDNN_MAJOR")
if(NOT cudnn_major MATCHES " 9$")
  cuda_missing("cuDNN 9 is needed, ${CUDNN_INCLUDE_DIR} has \"${cudnn_major}\"")
  return()
endif()
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_FLAGS_RELEASE "-O3")
add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers>")
if(DINF_WERROR) # of the host code, and of nvcc's own front end; ptxas's remarks stay remarks
  add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Werror;--Werror=cross-execution-space-call,reorder>")
endif()
set(dinf_cuda ON)

# libdinf_cuda.so: the device, with what it needs of the other rooms inside. The
# program loads it when it is asked for (src/device/cuda_library.c).
function(dinf_add_cuda)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/device/cuda/*.c ${CMAKE_SOURCE_DIR}/src/device/cuda/*.cu)
  add_library(dinf_cuda MODULE ${sources} ${CMAKE_SOURCE_DIR}/src/device/host.c ${CMAKE_SOURCE_DIR}/src/device/names.c)
  set_target_properties(dinf_cuda PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR} C_VISIBILITY_PRESET hidden
                        CUDA_VISIBILITY_PRESET hidden
                        # one list everywhere, as for the program (install.cmake)
                        BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN" INSTALL_RPATH_USE_LINK_PATH ON)
  target_include_directories(dinf_cuda PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_include_directories(dinf_cuda SYSTEM PRIVATE ${CUDNN_INCLUDE_DIR})
  target_link_options(dinf_cuda PRIVATE -Wl,--exclude-libs,ALL)
  target_link_libraries(dinf_cuda PRIVATE dinf_base CUDA::cudart_static CUDA::cublas CUDA::cublasLt CUDA::cusolver
                        ${CUDNN_LIBRARY})
endfunction()
