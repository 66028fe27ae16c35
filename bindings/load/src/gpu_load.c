// gpu_load.c - the picture, and how much of it takes the wanted time.
// SPDX-License-Identifier: MIT
#include "repartee_load/gpu_load.h"
#include "gl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    FULL_WIDTH = 1920,
    FULL_HEIGHT = 1080,
    LEAST_WIDTH = 60,
    LEAST_STEPS = 16, // of a ray in one pass, while the size is sought
    MOST_STEPS = 65536,
    LEAST_PASSES = 8,
    MOST_PASSES = 64,
    NOISE_SIZE = 2048, // texels a side: 16 MiB
    FITTING_ROUNDS = 8,
    MOST_SAMPLES = 31,
};

static const double PASS_MS = 0.25;       // about as long as a draw of a game: the device is handed over between two
static const double WARM_MS = 300;        // clocks are up by then
static const double GOOD_FIT = 0.02;
static const uint64_t LOST_NS = 10000000000u; // a frame that takes this long never comes

struct gpu_load {
    gl_context context;
    gl_sync fence;
    unsigned program, framebuffer, colour, noise, array;
    int steps_at, share_at, moment_at, shift_at, aspect_at;
    int width, height, passes, steps;
    double milliseconds;
    uint64_t frames;
};

static const char vertex_text[] =
    "#version 330 core\n"
    "out vec2 at;\n"
    "void main()\n"
    "{\n"
    "    at = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);\n" // one triangle over everything
    "    gl_Position = vec4(at, 0.0, 1.0);\n"
    "}\n";

// Every ray takes all its steps, whatever it has met: the work depends on nothing but their number.
static const char fragment_text[] =
    "#version 330 core\n"
    "uniform int steps;\n"
    "uniform float share, moment, shift, aspect;\n"
    "uniform sampler2D noise;\n"
    "in vec2 at;\n"
    "out vec4 colour;\n"
    "float hall(vec3 p)\n" // the distance to spheres in rows, the floor and the ceiling
    "{\n"
    "    vec3 cell = vec3(mod(p.x, 4.0) - 2.0, p.y, mod(p.z, 4.0) - 2.0);\n"
    "    float bump = 0.06 * textureLod(noise, p.xz * 0.02 + p.y * 0.01, 0.0).r;\n"
    "    return min(min(length(cell) - 1.1, p.y + 1.2), 2.6 - p.y) - bump;\n"
    "}\n"
    "void main()\n"
    "{\n"
    "    vec3 eye = vec3(0.3 * sin(moment), 0.6, moment);\n"
    "    vec3 ray = normalize(vec3((at.x + shift) * aspect, at.y + shift - 0.2, 1.6));\n"
    "    float far = 0.1;\n"
    "    for (int i = 0; i < steps; i++) far += 0.8 * hall(eye + ray * far);\n"
    "    vec3 p = eye + ray * far;\n"
    "    vec2 e = vec2(0.01, 0.0);\n"
    "    vec3 n = normalize(vec3(hall(p + e.xyy) - hall(p - e.xyy), hall(p + e.yxy) - hall(p - e.yxy), hall(p + e.yyx) - hall(p - e.yyx)));\n"
    "    float light = 0.15 + 0.85 * max(dot(n, normalize(vec3(0.5, 0.8, -0.4))), 0.0);\n"
    "    vec3 tint = 0.5 + 0.5 * cos(vec3(0.0, 1.1, 2.3) + floor(p.x / 4.0) * 1.7 + floor(p.z / 4.0) * 0.9);\n"
    "    colour = vec4(tint * light * exp(-0.05 * far) * share, share);\n"
    "}\n";

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

// ---------------------------------------------------------------------------------------------------------------------
// What is drawn with
// ---------------------------------------------------------------------------------------------------------------------

static unsigned compile(const gl_functions *gl, unsigned kind, const char *text, char problem[256])
{
    unsigned shader = gl->CreateShader(kind);
    int fine = 0;
    gl->ShaderSource(shader, 1, &text, NULL);
    gl->CompileShader(shader);
    gl->GetShaderiv(shader, GL_COMPILE_STATUS, &fine);
    if (fine)
        return shader;
    char log[200] = "";
    gl->GetShaderInfoLog(shader, sizeof log, NULL, log);
    gl->DeleteShader(shader);
    snprintf(problem, 256, "OpenGL: the shader does not compile: %s", log);
    return 0;
}

static bool make_program(gpu_load *l, char problem[256])
{
    const gl_functions *gl = &l->context.gl;
    unsigned vertex = compile(gl, GL_VERTEX_SHADER, vertex_text, problem);
    unsigned fragment = vertex ? compile(gl, GL_FRAGMENT_SHADER, fragment_text, problem) : 0;
    int fine = 0;
    if (fragment) {
        l->program = gl->CreateProgram();
        gl->AttachShader(l->program, vertex);
        gl->AttachShader(l->program, fragment);
        gl->LinkProgram(l->program);
        gl->GetProgramiv(l->program, GL_LINK_STATUS, &fine);
        char log[200] = "";
        if (!fine) {
            gl->GetProgramInfoLog(l->program, sizeof log, NULL, log);
            snprintf(problem, 256, "OpenGL: the program does not link: %s", log);
        }
        gl->DeleteShader(fragment);
    }
    if (vertex)
        gl->DeleteShader(vertex);
    if (!fine)
        return false;
    l->steps_at = gl->GetUniformLocation(l->program, "steps");
    l->share_at = gl->GetUniformLocation(l->program, "share");
    l->moment_at = gl->GetUniformLocation(l->program, "moment");
    l->shift_at = gl->GetUniformLocation(l->program, "shift");
    l->aspect_at = gl->GetUniformLocation(l->program, "aspect");
    return true;
}

static void filter_texture(const gl_functions *gl)
{
    gl->TexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
    gl->TexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_LINEAR);
}

static bool make_noise(gpu_load *l, char problem[256])
{
    const gl_functions *gl = &l->context.gl;
    const size_t texels = (size_t)NOISE_SIZE * NOISE_SIZE;
    uint32_t *noise = malloc(texels * sizeof *noise), state = 0x9e3779b9u;
    if (!noise) {
        snprintf(problem, 256, "out of memory");
        return false;
    }
    for (size_t i = 0; i < texels; i++) { // xorshift32 (Marsaglia 2003)
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        noise[i] = state;
    }
    gl->GenTextures(1, &l->noise);
    gl->BindTexture(GL_TEXTURE_2D, l->noise);
    filter_texture(gl);
    gl->TexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, NOISE_SIZE, NOISE_SIZE, 0, GL_RGBA, GL_UNSIGNED_BYTE, noise);
    free(noise);
    return true;
}

// The picture's own texture in another size; the noise stays bound.
static bool set_size(gpu_load *l, int width, int height, char problem[256])
{
    const gl_functions *gl = &l->context.gl;
    l->width = width;
    l->height = height;
    gl->BindTexture(GL_TEXTURE_2D, l->colour);
    filter_texture(gl);
    gl->TexImage2D(GL_TEXTURE_2D, 0, GL_RGBA16F, width, height, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    gl->FramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, l->colour, 0);
    gl->BindTexture(GL_TEXTURE_2D, l->noise);
    gl->Viewport(0, 0, width, height);
    if (gl->CheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE && gl->GetError() == 0)
        return true;
    snprintf(problem, 256, "OpenGL: no framebuffer of %d x %d with 16-bit floats", width, height);
    return false;
}

static bool make_picture(gpu_load *l, char problem[256])
{
    const gl_functions *gl = &l->context.gl;
    if (!make_program(l, problem) || !make_noise(l, problem))
        return false;
    gl->GenTextures(1, &l->colour);
    gl->GenVertexArrays(1, &l->array);
    gl->GenFramebuffers(1, &l->framebuffer);
    gl->BindFramebuffer(GL_FRAMEBUFFER, l->framebuffer);
    gl->BindVertexArray(l->array);
    gl->UseProgram(l->program);
    gl->Enable(GL_BLEND);
    gl->BlendFunc(GL_ONE, GL_ONE);
    gl->PixelStorei(GL_PACK_ALIGNMENT, 1);
    return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// A frame
// ---------------------------------------------------------------------------------------------------------------------

bool gpu_load_begin(gpu_load *l)
{
    const gl_functions *gl = &l->context.gl;
    if (!gl_context_bind(&l->context))
        return false;
    gl->ClearColor(0, 0, 0, 0);
    gl->Clear(GL_COLOR_BUFFER_BIT);
    gl->Uniform1f(l->moment_at, (float)(l->frames++ % 3600) * 0.02f);
    gl->Uniform1f(l->aspect_at, (float)l->width / (float)l->height);
    gl->Uniform1f(l->share_at, 1.0f / (float)l->passes);
    for (int pass = 0; pass < l->passes; pass++) {
        gl->Uniform1i(l->steps_at, l->steps / l->passes + (pass < l->steps % l->passes));
        gl->Uniform1f(l->shift_at, ((float)pass / (float)l->passes - 0.5f) * 2.0f / (float)l->height);
        gl->DrawArrays(GL_TRIANGLES, 0, 3);
    }
    l->fence = gl->FenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl->Flush();
    return true;
}

bool gpu_load_end(gpu_load *l)
{
    const gl_functions *gl = &l->context.gl;
    unsigned status = 0;
    if (l->fence) {
        status = gl->ClientWaitSync(l->fence, GL_SYNC_FLUSH_COMMANDS_BIT, LOST_NS);
        gl->DeleteSync(l->fence);
        l->fence = NULL;
    }
    bool fine = (status == GL_ALREADY_SIGNALED || status == GL_CONDITION_SATISFIED) && gl->GetError() == 0;
    gl_context_unbind(&l->context);
    return fine;
}

bool gpu_load_read(gpu_load *l, uint8_t *rgb)
{
    const gl_functions *gl = &l->context.gl;
    size_t row = (size_t)l->width * 3;
    if (!gl_context_bind(&l->context))
        return false;
    for (int y = 0; y < l->height; y++) // OpenGL counts rows from below
        gl->ReadPixels(0, l->height - 1 - y, l->width, 1, GL_RGB, GL_UNSIGNED_BYTE, rgb + (size_t)y * row);
    bool fine = gl->GetError() == 0;
    gl_context_unbind(&l->context);
    return fine;
}

// ---------------------------------------------------------------------------------------------------------------------
// How much of it
// ---------------------------------------------------------------------------------------------------------------------

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The median milliseconds of some frames: several, but not for longer than they need. Below 0: failed.
static double time_frames(gpu_load *l)
{
    double samples[MOST_SAMPLES];
    int count = 0;
    double begin = now_ms();
    while (count < MOST_SAMPLES && (count < 3 || now_ms() - begin < WARM_MS)) {
        double start = now_ms();
        if (!gpu_load_begin(l) || !gpu_load_end(l))
            return -1;
        samples[count++] = now_ms() - start;
    }
    qsort(samples, (size_t)count, sizeof samples[0], by_value);
    return samples[count / 2];
}

// The largest picture of which a frame can have enough passes. Leaves what one takes in l->milliseconds.
static bool fit_size(gpu_load *l, double wanted_ms, char problem[256])
{
    l->passes = 1;
    l->steps = LEAST_STEPS;
    for (int width = FULL_WIDTH; width >= LEAST_WIDTH; width /= 2) {
        gl_context_bind(&l->context);
        if (!set_size(l, width, width * FULL_HEIGHT / FULL_WIDTH, problem))
            return false;
        double pass_ms = gpu_load_begin(l) && gpu_load_end(l) ? time_frames(l) : -1; // the first compiles
        l->milliseconds = pass_ms;
        if (pass_ms >= 0 && pass_ms * LEAST_PASSES <= wanted_ms)
            return true;
        if (pass_ms < 0) {
            snprintf(problem, 256, "OpenGL: the device was lost while the load was fitted");
            return false;
        }
        snprintf(problem, 256, "this device takes %.2f ms for the smallest picture: more than the %.2f ms that were wanted",
                 pass_ms * LEAST_PASSES, wanted_ms);
    }
    return false;
}

static bool fit(gpu_load *l, double wanted_ms, char problem[256])
{
    if (!fit_size(l, wanted_ms, problem))
        return false;
    double passes = wanted_ms / (l->milliseconds > PASS_MS ? l->milliseconds : PASS_MS);
    l->passes = passes < LEAST_PASSES ? LEAST_PASSES : passes > MOST_PASSES ? MOST_PASSES : (int)passes;
    double steps = (double)l->passes * LEAST_STEPS;
    for (int round = 0; round < FITTING_ROUNDS; round++) {
        l->steps = (int)steps;
        l->milliseconds = time_frames(l);
        if (l->milliseconds <= 0) {
            snprintf(problem, 256, "OpenGL: the device was lost while the load was fitted");
            return false;
        }
        double ratio = wanted_ms / l->milliseconds;
        if (ratio > 1 - GOOD_FIT && ratio < 1 + GOOD_FIT)
            break;
        steps *= ratio > 8 ? 8 : ratio < 0.125 ? 0.125 : ratio;
        double most = (double)l->passes * MOST_STEPS, least = l->passes;
        steps = steps > most ? most : steps < least ? least : steps;
    }
    return true;
}

bool gpu_load_create(const gpu_load_def *def, gpu_load **load, char problem[256])
{
    *load = NULL;
    if (!(def->milliseconds > 0 && def->milliseconds <= GPU_LOAD_MOST_MS)) {
        snprintf(problem, 256, "a load takes above 0 and at most %g milliseconds a frame", GPU_LOAD_MOST_MS);
        return false;
    }
    gpu_load *l = calloc(1, sizeof *l);
    if (!l) {
        snprintf(problem, 256, "out of memory");
        return false;
    }
    bool fine = gl_context_open(&l->context, def->cuda_device, problem);
    if (fine && !gl_context_bind(&l->context)) {
        snprintf(problem, 256, "EGL: the context cannot be bound");
        fine = false;
    }
    fine = fine && make_picture(l, problem) && fit(l, def->milliseconds, problem);
    if (!fine) {
        gpu_load_destroy(l);
        return false;
    }
    *load = l;
    return true;
}

void gpu_load_destroy(gpu_load *l)
{
    if (!l)
        return;
    gl_context_close(&l->context); // and with it all that was made in it
    free(l);
}

void gpu_load_get_info(const gpu_load *l, gpu_load_info *info)
{
    *info = (gpu_load_info){.is_cuda_device = l->context.is_cuda_device, .milliseconds = l->milliseconds, .width = l->width,
                            .height = l->height, .passes = l->passes, .steps = l->steps, .renderer = l->context.renderer};
}
