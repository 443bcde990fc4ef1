# cmake -DSOURCE=file -DMUTANT=prefix -DOUTPUT=file -P mutate.cmake
# Replaces the one occurrence of <prefix>.find in SOURCE by <prefix>.replace. A text that does not occur exactly once fails the
# build: the mutant has to follow the source.
file(READ ${SOURCE} text)
file(READ ${MUTANT}.find find)
file(READ ${MUTANT}.replace replace)
string(FIND "${text}" "${find}" first)
string(FIND "${text}" "${find}" last REVERSE)
if(first EQUAL -1 OR NOT first EQUAL last)
  message(FATAL_ERROR "${MUTANT}: the text to replace occurs not exactly once in ${SOURCE}:\n${find}")
endif()
string(REPLACE "${find}" "${replace}" text "${text}")
file(WRITE ${OUTPUT} "${text}")
