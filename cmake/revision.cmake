# Writes OUT (a header with DINF_REVISION) if the revision changed since the last build.
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND git describe --always --dirty --abbrev=12 --exclude=*
                WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE revision
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE rc)
if(NOT rc EQUAL 0 OR NOT revision)
  set(revision unknown)
  if(EXISTS ${SOURCE}/REVISION)
    file(READ ${SOURCE}/REVISION revision)
    string(STRIP "${revision}" revision)
  endif()
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define DINF_REVISION \"@revision@\"\n#define DINF_VERSION \"@VERSION@\"\n" @ONLY)
