# Flags that more than one build shares.

# What every driver source and every user of the kernel headers is compiled with, whatever the target.
set(NTS_KERNEL_DEFINITIONS _AMD64_ DBG=1 NTDDI_VERSION=0x0A00000A _WIN32_WINNT=0x0A00)

set(NTS_KERNEL_INCLUDES ${CMAKE_SOURCE_DIR}/tools/wdk/include ${CMAKE_SOURCE_DIR}/kernel/include)

set(NTS_WARNINGS -Wall -Wextra -Werror
  -Wno-microsoft-anon-tag       # anonymous structures, as all Windows headers have them
  -Wno-unknown-pragmas)

# The Windows dialect of C on either target.
# The kernel exports no bcmp, to which clang would lower memcmp() == 0.
set(NTS_DIALECT -fms-extensions -fshort-wchar -fno-strict-aliasing -fno-builtin-bcmp)
