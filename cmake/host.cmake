# The driver host: nthost_core, an object library of everything but main.c, so that tests are hosts themselves and the linker
# never drops an exported kernel function that only a driver calls.
include(${CMAKE_CURRENT_LIST_DIR}/flags.cmake)

find_package(Threads REQUIRED)

# Compile and link flags of everything that runs as ELF, sanitizers included.
add_library(nts_elf INTERFACE)
# Frame pointers: stacks are walked on every pool allocation, through ELF and PE frames (loader/backtrace.c).
target_compile_options(nts_elf INTERFACE ${NTS_DIALECT} ${NTS_WARNINGS} -fno-omit-frame-pointer)
target_compile_definitions(nts_elf INTERFACE ${NTS_KERNEL_DEFINITIONS} _GNU_SOURCE)
target_include_directories(nts_elf INTERFACE ${NTS_KERNEL_INCLUDES})
if(NTS_SANITIZE)
  # An undefined-behaviour finding must fail the test that caused it.
  # No check of function types: it reads what lies before a function, and PE images have nothing there.
  target_compile_options(nts_elf INTERFACE -fsanitize=${NTS_SANITIZE} -fno-sanitize-recover=undefined -fno-sanitize=function)
  target_link_options(nts_elf INTERFACE -fsanitize=${NTS_SANITIZE})
endif()

set(nts_core_sources)
foreach(module executive verifier io fs loader kmdf ndis flt setup server)
  file(GLOB sources CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/tools/nthost/${module}/*.c
    ${CMAKE_SOURCE_DIR}/tools/nthost/${module}/*.S)
  list(APPEND nts_core_sources ${sources})
endforeach()
if(nts_core_sources MATCHES "\\.S(;|$)")
  enable_language(ASM)
endif()

if(nts_core_sources)
  add_library(nthost_core OBJECT ${nts_core_sources})
  target_include_directories(nthost_core PUBLIC ${CMAKE_SOURCE_DIR}/tools/nthost/include)
  target_link_libraries(nthost_core PUBLIC nts_elf Threads::Threads ${CMAKE_DL_LIBS} m)
  # ELF drivers find the kernel's functions in the executable that loads them.
  target_link_options(nthost_core INTERFACE -rdynamic)

  # Mounts: nthost's own, since tests that are hosts themselves need none.
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(FUSE3 REQUIRED IMPORTED_TARGET fuse3>=3.10)
  file(GLOB nts_fuse_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/nthost/fuse/*.c)
  add_library(nthost_fuse OBJECT ${nts_fuse_sources})
  target_include_directories(nthost_fuse PUBLIC ${CMAKE_SOURCE_DIR}/tools/nthost/include)
  target_link_libraries(nthost_fuse PUBLIC nts_elf PkgConfig::FUSE3 Threads::Threads)

  if(EXISTS ${CMAKE_SOURCE_DIR}/tools/nthost/main.c)
    add_executable(nthost ${CMAKE_SOURCE_DIR}/tools/nthost/main.c)
    target_link_libraries(nthost PRIVATE nthost_core nthost_fuse)
    target_compile_definitions(nthost PRIVATE NTS_VERSION="${PROJECT_VERSION}")
  endif()
endif()

file(GLOB nts_harness_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/test/harness/*.c)
if(nts_harness_sources AND TARGET nthost_core)
  add_library(nts_harness OBJECT ${nts_harness_sources})
  target_include_directories(nts_harness PUBLIC ${CMAKE_SOURCE_DIR}/test/harness)
  target_link_libraries(nts_harness PUBLIC nts_elf)
  target_include_directories(nts_harness PRIVATE ${CMAKE_SOURCE_DIR}/tools/nthost/include)
endif()
