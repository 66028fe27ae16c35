// gl.c - EGL without a window (the device, surfaceless and default platforms), and the functions of OpenGL 3.3.
// SPDX-License-Identifier: MIT
#include "gl.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum {
    EGL_NONE = 0x3038,
    EGL_EXTENSIONS = 0x3055,
    EGL_SURFACE_TYPE = 0x3033,
    EGL_PBUFFER_BIT = 1,
    EGL_RENDERABLE_TYPE = 0x3040,
    EGL_OPENGL_BIT = 8,
    EGL_HEIGHT = 0x3056,
    EGL_WIDTH = 0x3057,
    EGL_CONTEXT_MAJOR_VERSION = 0x3098,
    EGL_CONTEXT_MINOR_VERSION = 0x30FB,
    EGL_CONTEXT_PROFILE_MASK = 0x30FD,
    EGL_CONTEXT_CORE_PROFILE_BIT = 1,
    EGL_OPENGL_API = 0x30A2,
    EGL_PLATFORM_DEVICE = 0x313F,
    EGL_PLATFORM_SURFACELESS = 0x31DD,
    EGL_CUDA_DEVICE = 0x323A,
};

enum { MOST_DEVICES = 32 };

typedef struct egl {
    void *(*GetProcAddress)(const char *name);
    const char *(*QueryString)(void *display, int name);
    void *(*GetDisplay)(void *native);
    unsigned (*Initialize)(void *display, int *major, int *minor);
    unsigned (*BindAPI)(unsigned api);
    unsigned (*ChooseConfig)(void *display, const int *wanted, void **configs, int capacity, int *count);
    void *(*CreateContext)(void *display, void *config, void *shared, const int *wanted);
    void *(*CreatePbufferSurface)(void *display, void *config, const int *wanted);
    int (*GetError)(void);
    // Extensions: NULL where the driver has none.
    void *(*GetPlatformDisplayEXT)(unsigned platform, void *native, const int *wanted);
    unsigned (*QueryDevicesEXT)(int capacity, void **devices, int *count);
    unsigned (*QueryDeviceAttribEXT)(void *device, int what, intptr_t *value);
    const char *(*QueryDeviceStringEXT)(void *device, int name);
} egl;

// Function pointers come as object pointers: copied, because C has no cast for it.
static void take_function(void *pointer, void *symbol)
{
    memcpy(pointer, &symbol, sizeof symbol);
}

static bool open_egl(gl_context *c, egl *e, char problem[256])
{
    c->library = dlopen("libEGL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!c->library) {
        snprintf(problem, 256, "libEGL.so.1 is missing (the NVIDIA driver brings its part; Debian's package is libegl1)");
        return false;
    }
    const struct {
        const char *name;
        void *pointer;
    } needed[] = {
        {"eglGetProcAddress", &e->GetProcAddress}, {"eglQueryString", &e->QueryString},
        {"eglGetDisplay", &e->GetDisplay},         {"eglInitialize", &e->Initialize},
        {"eglBindAPI", &e->BindAPI},               {"eglChooseConfig", &e->ChooseConfig},
        {"eglCreateContext", &e->CreateContext},   {"eglCreatePbufferSurface", &e->CreatePbufferSurface},
        {"eglGetError", &e->GetError},             {"eglMakeCurrent", &c->make_current},
        {"eglTerminate", &c->terminate},           {"eglDestroyContext", &c->destroy_context},
        {"eglDestroySurface", &c->destroy_surface},
    };
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        void *symbol = dlsym(c->library, needed[i].name);
        if (!symbol) {
            snprintf(problem, 256, "libEGL.so.1 has no %s", needed[i].name);
            return false;
        }
        take_function(needed[i].pointer, symbol);
    }
    take_function(&e->GetPlatformDisplayEXT, e->GetProcAddress("eglGetPlatformDisplayEXT"));
    take_function(&e->QueryDevicesEXT, e->GetProcAddress("eglQueryDevicesEXT"));
    take_function(&e->QueryDeviceAttribEXT, e->GetProcAddress("eglQueryDeviceAttribEXT"));
    take_function(&e->QueryDeviceStringEXT, e->GetProcAddress("eglQueryDeviceStringEXT"));
    return true;
}

// Whether `name` is a word of the list.
static bool has_word(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; at && (at = strstr(at, name)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

// OpenGL 3.3 on one display; everything of it is closed again on failure.
static bool open_display(gl_context *c, const egl *e, void *display, char problem[256])
{
    int major, minor, count = 0;
    if (!display || !e->Initialize(display, &major, &minor)) {
        snprintf(problem, 256, "EGL: the display does not start (error 0x%x)", (unsigned)e->GetError());
        return false;
    }
    c->display = display;
    const char *extensions = e->QueryString(display, EGL_EXTENSIONS);
    bool needs_surface = !has_word(extensions, "EGL_KHR_surfaceless_context");
    const int wanted[] = {EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT, EGL_NONE};
    const int version[] = {EGL_CONTEXT_MAJOR_VERSION, 3, EGL_CONTEXT_MINOR_VERSION, 3, EGL_CONTEXT_PROFILE_MASK,
                           EGL_CONTEXT_CORE_PROFILE_BIT, EGL_NONE};
    const int size[] = {EGL_WIDTH, 16, EGL_HEIGHT, 16, EGL_NONE};
    void *config = NULL;
    bool fine = e->BindAPI(EGL_OPENGL_API) && e->ChooseConfig(display, wanted, &config, 1, &count) && count > 0;
    if (fine)
        c->context = e->CreateContext(display, config, NULL, version);
    if (c->context && needs_surface)
        c->surface = e->CreatePbufferSurface(display, config, size);
    if (c->context && (c->surface || !needs_surface) && gl_context_bind(c))
        return true;
    snprintf(problem, 256, "EGL: no OpenGL 3.3 context on this device (error 0x%x)", (unsigned)e->GetError());
    if (c->surface)
        c->destroy_surface(display, c->surface);
    if (c->context)
        c->destroy_context(display, c->context);
    c->terminate(display);
    c->display = c->context = c->surface = NULL;
    return false;
}

typedef enum device_rank { DEVICE_WANTED, DEVICE_REAL, DEVICE_SOFTWARE, DEVICE_RANKS } device_rank;

static device_rank rank_device(const egl *e, void *device, int cuda_device)
{
    intptr_t number = -1;
    const char *extensions = e->QueryDeviceStringEXT ? e->QueryDeviceStringEXT(device, EGL_EXTENSIONS) : NULL;
    if (cuda_device >= 0 && e->QueryDeviceAttribEXT && has_word(extensions, "EGL_NV_device_cuda") &&
        e->QueryDeviceAttribEXT(device, EGL_CUDA_DEVICE, &number) && number == cuda_device)
        return DEVICE_WANTED;
    return has_word(extensions, "EGL_MESA_device_software") ? DEVICE_SOFTWARE : DEVICE_REAL;
}

static bool open_some_device(gl_context *c, const egl *e, int cuda_device, char problem[256])
{
    void *devices[MOST_DEVICES];
    int count = 0;
    if (!e->GetPlatformDisplayEXT || !e->QueryDevicesEXT || !e->QueryDevicesEXT(MOST_DEVICES, devices, &count))
        return false;
    for (device_rank rank = DEVICE_WANTED; rank < DEVICE_RANKS; rank++)
        for (int i = 0; i < count; i++)
            if (rank_device(e, devices[i], cuda_device) == rank &&
                open_display(c, e, e->GetPlatformDisplayEXT(EGL_PLATFORM_DEVICE, devices[i], NULL), problem)) {
                c->is_cuda_device = rank == DEVICE_WANTED;
                return true;
            }
    return false;
}

static bool find_functions(gl_context *c, const egl *e, char problem[256])
{
    // eglGetProcAddress gives the functions of the core since EGL 1.5; before that the library itself does.
    c->gl_library = dlopen("libOpenGL.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!c->gl_library)
        c->gl_library = dlopen("libGL.so.1", RTLD_NOW | RTLD_LOCAL);
    const struct {
        const char *name;
        void *pointer;
    } functions[] = {
#define GL_ENTRY(result, name, parameters) {"gl" #name, &c->gl.name},
        GL_FUNCTIONS(GL_ENTRY)
#undef GL_ENTRY
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *symbol = e->GetProcAddress(functions[i].name);
        if (!symbol && c->gl_library)
            symbol = dlsym(c->gl_library, functions[i].name);
        if (!symbol) {
            snprintf(problem, 256, "OpenGL: %s is missing (Debian's packages are libegl1 and libgl1)", functions[i].name);
            return false;
        }
        take_function(functions[i].pointer, symbol);
    }
    return true;
}

bool gl_context_open(gl_context *c, int cuda_device, char problem[256])
{
    egl e = {0};
    memset(c, 0, sizeof *c);
    bool fine = open_egl(c, &e, problem);
    if (fine) {
        fine = open_some_device(c, &e, cuda_device, problem);
        if (!fine && e.GetPlatformDisplayEXT)
            fine = open_display(c, &e, e.GetPlatformDisplayEXT(EGL_PLATFORM_SURFACELESS, NULL, NULL), problem);
        if (!fine)
            fine = open_display(c, &e, e.GetDisplay(NULL), problem);
    }
    fine = fine && find_functions(c, &e, problem);
    if (!fine) {
        gl_context_close(c);
        return false;
    }
    const unsigned char *renderer = c->gl.GetString(GL_RENDERER);
    snprintf(c->renderer, sizeof c->renderer, "%s", renderer ? (const char *)renderer : "unnamed");
    gl_context_unbind(c);
    return true;
}

void gl_context_close(gl_context *c)
{
    if (c->display) {
        gl_context_unbind(c);
        if (c->surface)
            c->destroy_surface(c->display, c->surface);
        c->destroy_context(c->display, c->context);
        c->terminate(c->display);
    }
    if (c->gl_library)
        dlclose(c->gl_library);
    // The library of EGL itself stays: drivers leave threads and exit handlers behind that still run its code.
    memset(c, 0, sizeof *c);
}

bool gl_context_bind(gl_context *c)
{
    return c->make_current(c->display, c->surface, c->surface, c->context) != 0;
}

void gl_context_unbind(gl_context *c)
{
    c->make_current(c->display, NULL, NULL, NULL);
}
