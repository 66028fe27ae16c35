// gl.h - as much of EGL and OpenGL 3.3 as a load needs, found at run time: no header of theirs is asked for.
// SPDX-License-Identifier: MIT
#ifndef LOAD_GL_H
#define LOAD_GL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void *gl_sync;

enum {
    GL_TRIANGLES = 0x0004,
    GL_ONE = 1,
    GL_BLEND = 0x0BE2,
    GL_TEXTURE_2D = 0x0DE1,
    GL_UNSIGNED_BYTE = 0x1401,
    GL_RGB = 0x1907,
    GL_RGBA = 0x1908,
    GL_RENDERER = 0x1F01,
    GL_LINEAR = 0x2601,
    GL_TEXTURE_MAG_FILTER = 0x2800,
    GL_TEXTURE_MIN_FILTER = 0x2801,
    GL_COLOR_BUFFER_BIT = 0x4000,
    GL_PACK_ALIGNMENT = 0x0D05,
    GL_RGBA8 = 0x8058,
    GL_RGBA16F = 0x881A,
    GL_FRAGMENT_SHADER = 0x8B30,
    GL_VERTEX_SHADER = 0x8B31,
    GL_COMPILE_STATUS = 0x8B81,
    GL_LINK_STATUS = 0x8B82,
    GL_FRAMEBUFFER_COMPLETE = 0x8CD5,
    GL_COLOR_ATTACHMENT0 = 0x8CE0,
    GL_FRAMEBUFFER = 0x8D40,
    GL_SYNC_GPU_COMMANDS_COMPLETE = 0x9117,
    GL_ALREADY_SIGNALED = 0x911A,
    GL_CONDITION_SATISFIED = 0x911C,
    GL_SYNC_FLUSH_COMMANDS_BIT = 1,
};

// Result, name without gl, parameters: as in the OpenGL 3.3 core profile.
#define GL_FUNCTIONS(X)                                                                                                    \
    X(void, AttachShader, (unsigned program, unsigned shader))                                                             \
    X(void, BindFramebuffer, (unsigned target, unsigned framebuffer))                                                      \
    X(void, BindTexture, (unsigned target, unsigned texture))                                                              \
    X(void, BindVertexArray, (unsigned array))                                                                             \
    X(void, BlendFunc, (unsigned source, unsigned destination))                                                            \
    X(unsigned, CheckFramebufferStatus, (unsigned target))                                                                 \
    X(void, Clear, (unsigned mask))                                                                                        \
    X(void, ClearColor, (float red, float green, float blue, float alpha))                                                 \
    X(unsigned, ClientWaitSync, (gl_sync sync, unsigned flags, uint64_t nanoseconds))                                      \
    X(void, CompileShader, (unsigned shader))                                                                              \
    X(unsigned, CreateProgram, (void))                                                                                     \
    X(unsigned, CreateShader, (unsigned kind))                                                                             \
    X(void, DeleteShader, (unsigned shader))                                                                               \
    X(void, DeleteSync, (gl_sync sync))                                                                                    \
    X(void, DrawArrays, (unsigned mode, int first, int count))                                                             \
    X(void, Enable, (unsigned capability))                                                                                 \
    X(gl_sync, FenceSync, (unsigned condition, unsigned flags))                                                            \
    X(void, Finish, (void))                                                                                                \
    X(void, Flush, (void))                                                                                                 \
    X(void, FramebufferTexture2D, (unsigned target, unsigned attachment, unsigned kind, unsigned texture, int level))      \
    X(void, GenFramebuffers, (int count, unsigned *names))                                                                 \
    X(void, GenTextures, (int count, unsigned *names))                                                                     \
    X(void, GenVertexArrays, (int count, unsigned *names))                                                                 \
    X(unsigned, GetError, (void))                                                                                          \
    X(void, GetProgramInfoLog, (unsigned program, int capacity, int *length, char *text))                                  \
    X(void, GetProgramiv, (unsigned program, unsigned what, int *value))                                                   \
    X(void, GetShaderInfoLog, (unsigned shader, int capacity, int *length, char *text))                                    \
    X(void, GetShaderiv, (unsigned shader, unsigned what, int *value))                                                     \
    X(const unsigned char *, GetString, (unsigned what))                                                                   \
    X(int, GetUniformLocation, (unsigned program, const char *name))                                                       \
    X(void, LinkProgram, (unsigned program))                                                                               \
    X(void, PixelStorei, (unsigned what, int value))                                                                       \
    X(void, ReadPixels, (int x, int y, int width, int height, unsigned format, unsigned type, void *pixels))               \
    X(void, ShaderSource, (unsigned shader, int count, const char *const *texts, const int *lengths))                      \
    X(void, TexImage2D,                                                                                                    \
      (unsigned target, int level, int internal, int width, int height, int border, unsigned format, unsigned type,        \
       const void *pixels))                                                                                                \
    X(void, TexParameteri, (unsigned target, unsigned what, int value))                                                    \
    X(void, Uniform1f, (int location, float value))                                                                        \
    X(void, Uniform1i, (int location, int value))                                                                          \
    X(void, UseProgram, (unsigned program))                                                                                \
    X(void, Viewport, (int x, int y, int width, int height))

#define GL_POINTER(result, name, parameters) result(*name) parameters;
typedef struct gl_functions {
    GL_FUNCTIONS(GL_POINTER)
} gl_functions;
#undef GL_POINTER

// A context without a window. `surface` is NULL where the driver needs none.
typedef struct gl_context {
    void *library, *gl_library;
    void *display, *context, *surface;
    unsigned (*make_current)(void *display, void *draw, void *read, void *context);
    unsigned (*destroy_context)(void *display, void *context);
    unsigned (*destroy_surface)(void *display, void *surface);
    unsigned (*terminate)(void *display);
    bool is_cuda_device;
    char renderer[128]; // as the driver calls the device
    gl_functions gl;
} gl_context;

// An OpenGL 3.3 core context on the device that CUDA numbers `cuda_device` (below 0: any), else on a real one, else on whatever
// there is. It is not bound. False: `problem` says what is missing, and nothing is left open.
bool gl_context_open(gl_context *context, int cuda_device, char problem[256]);
void gl_context_close(gl_context *context);
bool gl_context_bind(gl_context *context);
void gl_context_unbind(gl_context *context);

#endif
