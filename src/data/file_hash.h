/* Hashes of image files. A plan asks for the same files again and again. */
#ifndef DINF_DATA_FILE_HASH_H
#define DINF_DATA_FILE_HASH_H

#include "base/err.h"
#include "base/hash.h"

/* hash_file, remembered in this process while device, inode, size and times of
 * modification and change stay the same. Thread-safe. */
int file_hash(const char *path, char hex[HASH_HEX], struct err *err);

#endif
