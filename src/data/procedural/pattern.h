/* Shapes and textures of the procedural set, as functions of the plane. */
#ifndef DINF_DATA_PROCEDURAL_PATTERN_H
#define DINF_DATA_PROCEDURAL_PATTERN_H

#include <stdint.h>

/* Half of each belongs to even families, half to odd ones. */
enum { SHAPES = 20, TEXTURES = 16 };

/* About the signed distance to the border of shape `kind` (0 .. SHAPES-1), of
 * about unit radius: negative inside. */
float pattern_shape(int kind, float x, float y);

/* Texture `kind` (0 .. TEXTURES-1) at (u, v), in periods; 0.5 is the border
 * between its two colours, slope a few units a period. `salt` tells noises apart. */
float pattern_texture(int kind, float u, float v, uint32_t salt);

/* Smooth noise, 0 .. 1, lattice distance 1. */
float pattern_noise(float u, float v, uint32_t salt);

/* Sine of t turns, to 0.1%, from basic operations only. */
float pattern_sine(float t);

#endif
