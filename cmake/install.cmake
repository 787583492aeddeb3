# cmake --install: PREFIX/bin/dinf with PREFIX/lib/libdinf_cuda.so (the program looks
# beside itself and in ../lib, so the folder may move), and what runs on it under
# PREFIX/share/dinf.
# One list for the build folder and for PREFIX: CMake would leave an empty entry at the end of what it has to change
# later, and the loader takes that for the current folder.
set_target_properties(dinf PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "${OPENBLAS_LIBRARY_DIRS}"
                      INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS dinf RUNTIME DESTINATION bin)
if(dinf_cuda)
  install(TARGETS dinf_cuda LIBRARY DESTINATION lib)
endif()
install(DIRECTORY jobs configs analysis DESTINATION share/dinf USE_SOURCE_PERMISSIONS
        PATTERN __pycache__ EXCLUDE PATTERN "*.pyc" EXCLUDE)
install(FILES README.md CHANGELOG.md CITATION.cff DESTINATION share/dinf)
