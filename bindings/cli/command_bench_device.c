// repartee bench device: what the GPU itself can do, by its driver's own copy and by bare cuBLAS calls. The figures that the
// CUDA backend is held against; measured without a line of the backend's code. Both libraries are opened at run time.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "frames.h"
#include "options.h"

#include <dlfcn.h>
#include <string.h>

// The driver's interface, as cuda.h has it.
typedef int cu_result;
typedef struct cu_context_tag *cu_context;
typedef struct cu_event_tag *cu_event;
typedef uint64_t cu_pointer;
enum { CU_MULTIPROCESSORS = 16, CU_MEMORY_CLOCK_KHZ = 36, CU_BUS_BITS = 37, CU_L2_BYTES = 38, CU_MAJOR = 75, CU_MINOR = 76 };

#define DRIVER_FUNCTIONS(X)                                                                                    \
    X(Init, cuInit, (unsigned flags))                                                                          \
    X(DriverGetVersion, cuDriverGetVersion, (int *version))                                                    \
    X(DeviceGet, cuDeviceGet, (int *device, int number))                                                       \
    X(DeviceGetName, cuDeviceGetName, (char *name, int capacity, int device))                                  \
    X(DeviceGetAttribute, cuDeviceGetAttribute, (int *value, int what, int device))                            \
    X(PrimaryRetain, cuDevicePrimaryCtxRetain, (cu_context * context, int device))                             \
    X(PrimaryRelease, cuDevicePrimaryCtxRelease_v2, (int device))                                              \
    X(SetCurrent, cuCtxSetCurrent, (cu_context context))                                                       \
    X(MemGetInfo, cuMemGetInfo_v2, (size_t *free_bytes, size_t *total_bytes))                                  \
    X(MemAlloc, cuMemAlloc_v2, (cu_pointer * memory, size_t bytes))                                            \
    X(MemFree, cuMemFree_v2, (cu_pointer memory))                                                              \
    X(MemsetD8, cuMemsetD8_v2, (cu_pointer memory, unsigned char value, size_t bytes))                         \
    X(MemcpyDtoD, cuMemcpyDtoDAsync_v2, (cu_pointer to, cu_pointer from, size_t bytes, void *stream))          \
    X(EventCreate, cuEventCreate, (cu_event * event, unsigned flags))                                          \
    X(EventDestroy, cuEventDestroy_v2, (cu_event event))                                                       \
    X(EventRecord, cuEventRecord, (cu_event event, void *stream))                                              \
    X(EventSynchronize, cuEventSynchronize, (cu_event event))                                                  \
    X(EventElapsedTime, cuEventElapsedTime, (float *milliseconds, cu_event from, cu_event to))                 \
    X(GetErrorString, cuGetErrorString, (cu_result result, const char **text))

// cuBLAS, as cublas_api.h has it.
enum { CUBLAS_N = 0, CUBLAS_T = 1, CUDA_R_32F = 0, CUDA_R_16F = 2, CUDA_R_8I = 3, CUDA_R_32I = 10, CUDA_R_16BF = 14 };
enum { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_32I = 72, CUBLAS_GEMM_DEFAULT = -1 };

typedef struct device_bench {
    void *driver_library, *blas_library, *blas;
    int device;
    bool retained;
    cu_event begin, end;
#define DRIVER_POINTER(name, symbol, parameters) cu_result(*name) parameters;
    DRIVER_FUNCTIONS(DRIVER_POINTER)
#undef DRIVER_POINTER
    int (*blas_create)(void **handle);
    int (*blas_destroy)(void *handle);
    int (*gemm)(void *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha, const void *a,
                int a_type, int lda, const void *b, int b_type, int ldb, const void *beta, void *c, int c_type, int ldc,
                int compute_type, int algorithm);
} device_bench;

typedef struct bench_options {
    int64_t device, runs;
    bool json;
} bench_options;

static void take_function(void *pointer, void *symbol)
{
    memcpy(pointer, &symbol, sizeof symbol);
}

// False: the words are on stderr.
static bool check(const device_bench *b, cu_result result, const char *what)
{
    const char *text = NULL;
    if (result == 0)
        return true;
    b->GetErrorString(result, &text);
    failure("bench device", "%s: %s", what, text ? text : "an error that the driver does not name");
    return false;
}

static bool open_driver(device_bench *b, int64_t number)
{
    cu_context context = NULL;
    b->driver_library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!b->driver_library)
        return failure("bench device", "libcuda.so.1 is missing: there is no NVIDIA driver"), false;
    const struct {
        const char *symbol;
        void *pointer;
    } functions[] = {
#define DRIVER_ENTRY(name, symbol, parameters) {#symbol, &b->name},
        DRIVER_FUNCTIONS(DRIVER_ENTRY)
#undef DRIVER_ENTRY
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *symbol = dlsym(b->driver_library, functions[i].symbol);
        if (!symbol)
            return failure("bench device", "libcuda.so.1 has no %s", functions[i].symbol), false;
        take_function(functions[i].pointer, symbol);
    }
    if (!check(b, b->Init(0), "starting the driver") || !check(b, b->DeviceGet(&b->device, (int)number), "finding the device") ||
        !check(b, b->PrimaryRetain(&context, b->device), "the device's context"))
        return false;
    b->retained = true;
    return check(b, b->SetCurrent(context), "the device's context") && check(b, b->EventCreate(&b->begin, 0), "an event") &&
           check(b, b->EventCreate(&b->end, 0), "an event");
}

static bool open_blas(device_bench *b)
{
    static const char *const names[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"};
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !b->blas_library; i++)
        b->blas_library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!b->blas_library)
        return false;
    take_function(&b->blas_create, dlsym(b->blas_library, "cublasCreate_v2"));
    take_function(&b->blas_destroy, dlsym(b->blas_library, "cublasDestroy_v2"));
    take_function(&b->gemm, dlsym(b->blas_library, "cublasGemmEx"));
    return b->blas_create && b->blas_destroy && b->gemm && b->blas_create(&b->blas) == 0;
}

static void close_bench(device_bench *b)
{
    if (b->blas)
        b->blas_destroy(b->blas);
    if (b->begin)
        b->EventDestroy(b->begin);
    if (b->end)
        b->EventDestroy(b->end);
    if (b->retained)
        b->PrimaryRelease(b->device);
    // The libraries stay: the driver's threads may still run their code.
}

static void describe_device(const device_bench *b, json_t *out)
{
    static const struct {
        const char *key;
        int what;
    } attributes[] = {{"multiprocessors", CU_MULTIPROCESSORS}, {"l2_bytes", CU_L2_BYTES}, {"memory_clock_khz", CU_MEMORY_CLOCK_KHZ},
                      {"memory_bus_bits", CU_BUS_BITS}};
    char name[256] = "", capability[32];
    int major = 0, minor = 0, version = 0;
    size_t free_bytes = 0, total_bytes = 0;
    b->DeviceGetName(name, sizeof name, b->device);
    b->DeviceGetAttribute(&major, CU_MAJOR, b->device);
    b->DeviceGetAttribute(&minor, CU_MINOR, b->device);
    b->DriverGetVersion(&version);
    b->MemGetInfo(&free_bytes, &total_bytes);
    snprintf(capability, sizeof capability, "%d.%d", major, minor);
    json_object_set_new(out, "device", json_string(name));
    json_object_set_new(out, "compute_capability", json_string(capability));
    figure_count(out, "driver_cuda_version", (uint64_t)version);
    figure_count(out, "memory_bytes", total_bytes);
    figure_count(out, "memory_free_bytes", free_bytes);
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        int value = 0;
        if (b->DeviceGetAttribute(&value, attributes[i].what, b->device) == 0 && value > 0)
            figure_count(out, attributes[i].key, (uint64_t)value);
    }
}

// Milliseconds between the two events; 0: failed, and said.
static double elapsed_ms(const device_bench *b)
{
    float milliseconds = 0;
    bool fine = check(b, b->EventSynchronize(b->end), "waiting for the device") &&
                check(b, b->EventElapsedTime(&milliseconds, b->begin, b->end), "reading the time");
    return fine ? milliseconds : 0;
}

// Bytes read and written a second, in GB: the median of the runs, buffers far larger than any cache.
static bool bench_copy(const device_bench *b, int64_t runs, json_t *out)
{
    const int copies = 4;
    size_t free_bytes = 0, total_bytes = 0, bytes = (size_t)1 << 30;
    cu_pointer from = 0, to = 0;
    samples s = {0};
    b->MemGetInfo(&free_bytes, &total_bytes);
    while (bytes > (size_t)1 << 20 && bytes > free_bytes / 3)
        bytes /= 2;
    bool fine = check(b, b->MemAlloc(&from, bytes), "memory to copy from") && check(b, b->MemAlloc(&to, bytes), "memory to copy to") &&
                check(b, b->MemsetD8(from, 1, bytes), "filling memory");
    for (int64_t run = -2; fine && run < runs; run++) {
        fine = check(b, b->EventRecord(b->begin, NULL), "an event");
        for (int i = 0; fine && i < copies; i++)
            fine = check(b, b->MemcpyDtoD(to, from, bytes, NULL), "copying");
        fine = fine && check(b, b->EventRecord(b->end, NULL), "an event");
        double milliseconds = fine ? elapsed_ms(b) : 0;
        if (run >= 0 && milliseconds > 0)
            samples_add(&s, 2.0 * (double)bytes * copies / (milliseconds * 1e6));
    }
    if (fine) {
        figure_count(out, "copy_bytes", bytes);
        figure_set(out, "copy_gb_per_second", samples_quantile(&s, 0.5));
        figure_set(out, "copy_best_gb_per_second", samples_quantile(&s, 1));
    }
    if (from)
        b->MemFree(from);
    if (to)
        b->MemFree(to);
    samples_free(&s);
    return fine;
}

typedef struct product {
    const char *type;
    int input_type, output_type, compute_type, input_bytes;
} product;

// Weights [14336, 5120] times activations: the widest matrix of Mistral NeMo 12B.
static double bench_product(const device_bench *b, const product *p, int n, int64_t runs)
{
    const int m = 14336, k = 5120, calls = 8;
    const float alpha = 1, beta = 0;
    const int32_t whole_alpha = 1, whole_beta = 0;
    bool whole = p->compute_type == CUBLAS_COMPUTE_32I;
    cu_pointer a = 0, x = 0, y = 0;
    samples s = {0};
    bool fine = b->MemAlloc(&a, (size_t)m * k * (size_t)p->input_bytes) == 0 &&
                b->MemAlloc(&x, (size_t)n * k * (size_t)p->input_bytes) == 0 && b->MemAlloc(&y, (size_t)m * (size_t)n * 4) == 0 &&
                b->MemsetD8(a, 0x11, (size_t)m * k * (size_t)p->input_bytes) == 0 &&
                b->MemsetD8(x, 0x11, (size_t)n * k * (size_t)p->input_bytes) == 0;
    for (int64_t run = -2; fine && run < runs; run++) {
        fine = b->EventRecord(b->begin, NULL) == 0;
        for (int i = 0; fine && i < calls; i++)
            fine = b->gemm(b->blas, CUBLAS_T, CUBLAS_N, m, n, k, whole ? (const void *)&whole_alpha : &alpha, (void *)(uintptr_t)a,
                           p->input_type, k, (void *)(uintptr_t)x, p->input_type, k, whole ? (const void *)&whole_beta : &beta,
                           (void *)(uintptr_t)y, p->output_type, m, p->compute_type, CUBLAS_GEMM_DEFAULT) == 0;
        fine = fine && b->EventRecord(b->end, NULL) == 0;
        double milliseconds = fine ? elapsed_ms(b) : 0;
        if (run >= 0 && milliseconds > 0)
            samples_add(&s, 2.0 * m * n * k * calls / (milliseconds * 1e9));
    }
    const cu_pointer taken[] = {a, x, y};
    for (size_t i = 0; i < 3; i++)
        if (taken[i])
            b->MemFree(taken[i]);
    double speed = fine ? samples_quantile(&s, 0.5) : 0;
    samples_free(&s);
    return speed;
}

// A type that this device's cuBLAS does not multiply has no figure.
static void bench_products(const device_bench *b, int64_t runs, json_t *out)
{
    static const product products[] = {{"bf16", CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F, 2},
                                       {"f16", CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F, 2},
                                       {"int8", CUDA_R_8I, CUDA_R_32I, CUBLAS_COMPUTE_32I, 1}};
    static const int rows[] = {1, 32, 128, 512};
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++)
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
            char key[64];
            double speed = bench_product(b, &products[i], rows[k], runs);
            snprintf(key, sizeof key, "gemm_%s_%d_rows_tflops", products[i].type, rows[k]);
            if (speed > 0)
                figure_set(out, key, speed);
        }
}

int command_bench_device(int argc, char **argv)
{
    bench_options o = {.runs = 10};
    const option options[] = {
        {"device", OPTION_INTEGER, &o.device, "N", "which one, as CUDA counts; default 0", 0, 63},
        {"runs", OPTION_INTEGER, &o.runs, "N", "the median of these counts, default 10", 1, 1000},
        {"json", OPTION_FLAG, &o.json, "", "one JSON object", 0, 0},
    };
    command_line line = {
        .command = "bench device",
        .usage = "[OPTION]...",
        .about = "What an NVIDIA GPU can do: the bandwidth of the driver's own copy, and bare cuBLAS products of 1 to 512 rows.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    device_bench b = {0};
    json_t *out = json_object();
    bool fine = open_driver(&b, o.device);
    if (fine) {
        describe_device(&b, out);
        fine = bench_copy(&b, o.runs, out);
    }
    if (fine && open_blas(&b))
        bench_products(&b, o.runs, out);
    else if (fine)
        fprintf(stderr, "repartee bench device: libcublas.so is missing or does not start: no products\n");
    close_bench(&b);
    if (fine)
        return figures_print("bench device", out, o.json);
    json_decref(out);
    return EXIT_FAILED;
}
