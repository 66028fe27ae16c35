// repartee_load/gpu_load.h - draws what a game would: an OpenGL load of a wanted number of GPU milliseconds a frame.
//
// The picture (spheres in a hall, marched ray by ray, many passes blended over each other) is drawn into a framebuffer of its
// own, without a window: through EGL on the very device that CUDA computes on, where the driver says which that is. Much
// arithmetic, blending into 16-bit floats and reads from a texture larger than small caches: what a renderer asks of a GPU.
//
// libEGL.so.1 is opened when a load is created; a machine without it, or without OpenGL 3.3, gets a reason.
// One thread uses a load at a time. Between gpu_load_begin and gpu_load_end its OpenGL context is that thread's; outside of
// them the thread has none, so a game with a context of its own unbinds it before and binds it again after.
//
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_LOAD_GPU_LOAD_H
#define REPARTEE_LOAD_GPU_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GPU_LOAD_MOST_MS 1000.0

typedef struct gpu_load gpu_load;

typedef struct gpu_load_def {
    double milliseconds; // a frame, nothing else running; above 0, at most GPU_LOAD_MOST_MS
    int cuda_device;     // draw on this one; below 0: on any, a real one rather than a software one
} gpu_load_def;

// Opens a device, then finds out how much of the picture takes the wanted time (a second or two). On failure *load is NULL and
// `problem` says what is missing.
bool gpu_load_create(const gpu_load_def *def, gpu_load **load, char problem[256]);
void gpu_load_destroy(gpu_load *load); // NULL is fine

// Queues one frame's drawing and returns. False: the context could not be bound.
bool gpu_load_begin(gpu_load *load);
// Waits until the frame is drawn. False: the device is lost, or ran out of memory.
bool gpu_load_end(gpu_load *load);

typedef struct gpu_load_info {
    const char *renderer;    // as the driver calls the device; lives as long as the load
    bool is_cuda_device;     // the driver says that it is the wanted CUDA device
    double milliseconds;     // that a frame took when the load was fitted: the median
    int width, height;       // of the framebuffer
    int passes, steps;       // over the whole picture a frame; steps of the rays, all passes together
} gpu_load_info;
void gpu_load_get_info(const gpu_load *load, gpu_load_info *info);

// The picture as it was drawn last: width * height * 3 bytes, red first, the top row first. False as gpu_load_end.
bool gpu_load_read(gpu_load *load, uint8_t *rgb);

#ifdef __cplusplus
}
#endif
#endif
