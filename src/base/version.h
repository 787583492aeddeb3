/* What this binary is. */
#ifndef DINF_BASE_VERSION_H
#define DINF_BASE_VERSION_H

const char *dinf_version(void);  /* "0.1.0" */
const char *dinf_revision(void); /* abbreviated git commit, "-dirty" if changed; "unknown" outside git */

/* A library that results may depend on. The room that includes a library's
 * header tells its version, as found at run time where the library says. */
struct library {
    const char *name; /* "hdf5" */
    char version[64]; /* "1.10.8" */
};

#endif
