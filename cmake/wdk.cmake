# The `windows` build: the drivers with cl, link and the WDK. Not run on the machines that ntswift is developed on.
#
# The WDK is found in one of two places:
#   - NTS_WDK_NUGET (or the environment's), a folder into which `nuget install Microsoft.Windows.WDK.x64` has put the packages
#     Microsoft.Windows.WDK.x64.<version> and, with it, Microsoft.Windows.SDK.CPP.<version>;
#   - an installed kit: NTS_WDK_ROOT, the environment's WindowsSdkDir, or the usual place.

if(NOT DEFINED NTS_WDK_NUGET AND DEFINED ENV{NTS_WDK_NUGET})
  set(NTS_WDK_NUGET $ENV{NTS_WDK_NUGET})
endif()

set(nts_sdk_roots)
if(NTS_WDK_NUGET)
  file(TO_CMAKE_PATH "${NTS_WDK_NUGET}" nts_nuget)
  file(GLOB nts_sdk_roots LIST_DIRECTORIES true ${nts_nuget}/Microsoft.Windows.WDK.x64*/c ${nts_nuget}/Microsoft.Windows.SDK.CPP*/c)
else()
  set(nts_kit "$ENV{ProgramFiles\(x86\)}/Windows Kits/10")
  if(DEFINED ENV{WindowsSdkDir})
    set(nts_kit "$ENV{WindowsSdkDir}")
  endif()
  set(NTS_WDK_ROOT "${nts_kit}" CACHE PATH "Folder of the installed Windows kit")
  file(TO_CMAKE_PATH "${NTS_WDK_ROOT}" nts_sdk_roots)
endif()

# The newest kit version that has kernel headers.
set(NTS_WDK_VERSION "" CACHE STRING "Version of the kit, such as 10.0.26100.0; empty: the newest one found")
if(NOT NTS_WDK_VERSION)
  set(candidates)
  foreach(root IN LISTS nts_sdk_roots)
    file(GLOB found RELATIVE ${root}/Include ${root}/Include/10.*/km/ntddk.h)
    list(APPEND candidates ${found})
  endforeach()
  list(TRANSFORM candidates REPLACE "/km/ntddk.h$" "")
  list(SORT candidates COMPARE NATURAL ORDER DESCENDING)
  if(NOT candidates)
    message(FATAL_ERROR "No WDK found: install it, or set NTS_WDK_NUGET to a folder of its NuGet packages")
  endif()
  list(GET candidates 0 NTS_WDK_VERSION)
endif()
message(STATUS "WDK ${NTS_WDK_VERSION}")

function(nts_wdk_paths result)
  set(paths)
  foreach(root IN LISTS nts_sdk_roots)
    foreach(tail IN LISTS ARGN)
      if(EXISTS ${root}/${tail})
        list(APPEND paths ${root}/${tail})
      endif()
    endforeach()
  endforeach()
  set(${result} ${paths} PARENT_SCOPE)
endfunction()

set(v ${NTS_WDK_VERSION})
nts_wdk_paths(NTS_WDK_INCLUDES Include/${v}/km Include/${v}/km/crt Include/${v}/shared)
nts_wdk_paths(NTS_WDK_LIBS Lib/${v}/km/x64)
nts_wdk_paths(NTS_WDF_INCLUDES Include/wdf/kmdf/1.33)
nts_wdk_paths(NTS_WDF_LIBS Lib/wdf/kmdf/x64/1.33)
nts_wdk_paths(nts_wdk_bins bin/${v}/x64 bin/${v}/x86)
find_program(NTS_STAMPINF stampinf PATHS ${nts_wdk_bins} NO_DEFAULT_PATH)
find_program(NTS_INF2CAT inf2cat PATHS ${nts_wdk_bins} NO_DEFAULT_PATH)
unset(v)

function(nts_driver_wdk name)
  cmake_parse_arguments(PARSE_ARGV 1 D "KMDF;NDIS;FLTMGR" "INF" "SOURCES;WINDOWS_LIBS")
  add_library(${name} SHARED ${D_SOURCES})
  set_target_properties(${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} SUFFIX ".sys"
    RUNTIME_OUTPUT_DIRECTORY ${NTS_DRIVER_DIR} PDB_OUTPUT_DIRECTORY ${NTS_DRIVER_DIR}
    MSVC_RUNTIME_LIBRARY "")
  target_link_libraries(${name} PRIVATE ${name}_common)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/kernel/include)
  target_include_directories(${name} SYSTEM PRIVATE ${NTS_WDK_INCLUDES})
  target_compile_definitions(${name} PRIVATE _AMD64_ AMD64 _WIN64 DEPRECATE_DDK_FUNCTIONS=1
    NTDDI_VERSION=0x0A00000A _WIN32_WINNT=0x0A00 WINVER=0x0A00 WINNT=1 POOL_NX_OPTIN=1)
  target_compile_options(${name} PRIVATE /kernel /std:c17 /W4 /WX /GF /Gy /GS /Zp8 /Zi /Oi /guard:cf /wd4201 /wd4214)

  set(libs BufferOverflowFastFailK.lib ntoskrnl.lib hal.lib wmilib.lib)
  set(entry GsDriverEntry)
  if(D_KMDF)
    target_include_directories(${name} SYSTEM PRIVATE ${NTS_WDF_INCLUDES})
    target_link_directories(${name} PRIVATE ${NTS_WDF_LIBS})
    list(APPEND libs WdfLdr.lib WdfDriverEntry.lib)
    set(entry FxDriverEntry)
  endif()
  if(D_NDIS)
    list(APPEND libs ndis.lib netio.lib)
  endif()
  if(D_FLTMGR)
    list(APPEND libs fltMgr.lib)
  endif()
  target_link_directories(${name} PRIVATE ${NTS_WDK_LIBS})
  target_link_libraries(${name} PRIVATE ${libs} ${D_WINDOWS_LIBS})
  target_link_options(${name} PRIVATE /DRIVER /SUBSYSTEM:NATIVE,10.00 /KERNEL /NODEFAULTLIB /MANIFEST:NO /ENTRY:${entry}
    /DYNAMICBASE /NXCOMPAT /GUARD:CF /OPT:REF /OPT:ICF /INCREMENTAL:NO /RELEASE /DEBUG
    /MERGE:_TEXT=.text /MERGE:_PAGE=PAGE /SECTION:INIT,d)

  if(D_INF)
    get_filename_component(inf ${D_INF} ABSOLUTE)
    set(stamped ${NTS_DRIVER_DIR}/${name}.inf)
    if(NTS_STAMPINF AND NTS_INF2CAT)
      add_custom_command(TARGET ${name} POST_BUILD
        COMMAND ${CMAKE_COMMAND} -E copy ${inf} ${stamped}
        COMMAND ${NTS_STAMPINF} -f ${stamped} -d * -a amd64 -v ${PROJECT_VERSION}.0 -k 1.33
        COMMAND ${NTS_INF2CAT} /driver:${NTS_DRIVER_DIR} /os:10_CO_X64,10_NI_X64,10_GE_X64,ServerFE_X64,Server2025_X64 /uselocaltime
        COMMENT "Stamping ${name}.inf and making its catalogue"
        VERBATIM)
    else()
      message(WARNING "stampinf or inf2cat missing from the WDK: ${name}.inf is copied as it is and has no catalogue")
      add_custom_command(TARGET ${name} POST_BUILD COMMAND ${CMAKE_COMMAND} -E copy ${inf} ${stamped} VERBATIM)
    endif()
  endif()
endfunction()
