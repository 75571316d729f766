/* Lamplight collectives: all-reduce over the GPUs of one NVLink domain, with residual addition,
 * RMSNorm and quantisation fused in, for use inside captured CUDA graphs.
 *
 * Plain C11, no CUDA header needed. docs/kernels_api.md is the introduction.
 *
 * Every function may be called from any thread. A workspace carries one call at a time: all calls
 * on one workspace must be ordered by a stream, events or graph edges, and every rank must make the
 * same sequence of calls with the same tokens, hidden, dtype and algorithm.
 *
 * Every function that can fail returns a lamplight_status and leaves a text for
 * lamplight_last_error() that names the argument, its value and what to do. Nothing is launched by
 * a call that returns an error.
 */
#ifndef LAMPLIGHT_COLLECTIVE_H_
#define LAMPLIGHT_COLLECTIVE_H_

#include <stddef.h>
#include <stdint.h>

#define LAMPLIGHT_VERSION_MAJOR 0
#define LAMPLIGHT_VERSION_MINOR 1
#define LAMPLIGHT_VERSION_PATCH 0
/* 10000 * major + 100 * minor + patch */
#define LAMPLIGHT_VERSION \
  (LAMPLIGHT_VERSION_MAJOR * 10000 + LAMPLIGHT_VERSION_MINOR * 100 + LAMPLIGHT_VERSION_PATCH)

#if defined(__GNUC__)
#define LAMPLIGHT_API __attribute__((visibility("default")))
#else
#define LAMPLIGHT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* NOLINTBEGIN(readability-identifier-naming): names as C libraries have them */

struct CUstream_st;                           /* cudaStream_t is a pointer to it */
typedef struct CUstream_st* lamplight_stream; /* the same type as cudaStream_t */
typedef struct lamplight_workspace lamplight_workspace;

typedef enum lamplight_status {
  LAMPLIGHT_OK = 0,
  LAMPLIGHT_ERROR_NULL = 1,          /* a pointer that is needed is null */
  LAMPLIGHT_ERROR_STRUCT_SIZE = 2,   /* struct_size is none that this library knows */
  LAMPLIGHT_ERROR_MISALIGNED = 3,    /* an address or a size is not a multiple of what it must be */
  LAMPLIGHT_ERROR_WORLD = 4,         /* not 2, 4, 8, 16, 32 or 64 ranks */
  LAMPLIGHT_ERROR_RANK = 5,          /* rank is not in 0 … world − 1 */
  LAMPLIGHT_ERROR_DTYPE = 6,         /* not a lamplight_dtype */
  LAMPLIGHT_ERROR_TOKENS = 7,        /* no tokens */
  LAMPLIGHT_ERROR_HIDDEN = 8,        /* hidden is 0, too long or not a multiple of 16 bytes */
  LAMPLIGHT_ERROR_CAPACITY = 9,      /* the call does not fit the workspace */
  LAMPLIGHT_ERROR_PATTERN = 10,      /* not a lamplight_pattern, or a tensor without use in it */
  LAMPLIGHT_ERROR_QUANTISATION = 11, /* not a lamplight_quantisation, or one that cannot be had */
  LAMPLIGHT_ERROR_ALGORITHM = 12,    /* not a lamplight_algorithm, or one that cannot be had */
  LAMPLIGHT_ERROR_VALUE = 13,        /* another field has a value that it cannot have */
  LAMPLIGHT_ERROR_OVERLAP = 14,      /* an output overlaps another tensor */
  LAMPLIGHT_ERROR_DEVICE = 15,       /* no such device, or not the one that is current */
  LAMPLIGHT_ERROR_CAPTURE = 16,      /* the stream's capture forbids or has lost the call */
  LAMPLIGHT_ERROR_UNSUPPORTED = 17,  /* the device or the driver has not what was asked for */
  LAMPLIGHT_ERROR_STATE = 18,        /* an adopted workspace: impossible flag words, or not armed */
  LAMPLIGHT_ERROR_EXCHANGE = 19,     /* the all-gather failed or left bytes that are no record */
  LAMPLIGHT_ERROR_EXCHANGE_TIMEOUT = 20, /* the all-gather did not return in time */
  LAMPLIGHT_ERROR_DISAGREEMENT = 21,     /* the ranks asked for different workspaces */
  LAMPLIGHT_ERROR_PEER = 22,             /* another rank failed; the text says which, and why */
  LAMPLIGHT_ERROR_PROBE = 23,            /* a peer's memory is mapped, but stores do not arrive */
  LAMPLIGHT_ERROR_OUT_OF_MEMORY = 24,
  LAMPLIGHT_ERROR_CUDA = 25,    /* another CUDA call failed; the text has its name */
  LAMPLIGHT_ERROR_INTERNAL = 26 /* a fault of this library */
} lamplight_status;

typedef enum lamplight_dtype {
  LAMPLIGHT_FP16 = 1,
  LAMPLIGHT_BF16 = 2,
  LAMPLIGHT_FP32 = 3
} lamplight_dtype;

/* How the ranks exchange data. */
typedef enum lamplight_protocol {
  LAMPLIGHT_PROTOCOL_EPOCH = 0, /* packets carry the number of the call; nothing is ever cleared */
  LAMPLIGHT_PROTOCOL_MNNVL = 1  /* sentinels and flag words as FlashInfer's MNNVL workspaces have */
} lamplight_protocol;

typedef enum lamplight_memory {
  LAMPLIGHT_MEMORY_IPC = 0,   /* cudaMalloc and CUDA IPC: all ranks on one host */
  LAMPLIGHT_MEMORY_FABRIC = 1 /* virtual memory and fabric handles: one NVLink domain (IMEX) */
} lamplight_memory;

typedef enum lamplight_algorithm {
  LAMPLIGHT_ALGORITHM_AUTO =
      0, /* by world, tokens, hidden, dtype and capacity: see lamplight_choose */
  LAMPLIGHT_ALGORITHM_ONE_SHOT = 1,
  LAMPLIGHT_ALGORITHM_TWO_SHOT = 2
} lamplight_algorithm;

/* sum = the sum over ranks of input, added in rank order in fp32, rounded once; −0 becomes +0. */
typedef enum lamplight_pattern {
  /* output = sum */
  LAMPLIGHT_PATTERN_ALL_REDUCE = 0,
  /* residual_out = sum + residual_in
   * output = residual_out / sqrt(mean(residual_out²) + epsilon) × (gamma + weight_bias), in fp32:
   * the squares overflow where an element is above about 1.8e19, and the row becomes zeros */
  LAMPLIGHT_PATTERN_RESIDUAL_RMSNORM = 1,
  /* The same without residual_in; residual_out = sum */
  LAMPLIGHT_PATTERN_RMSNORM = 2
} lamplight_pattern;

/* Of the row that `output` would hold. The recipes are FlashInfer's. They saturate: what is beyond
 * a format's largest number becomes that, infinities too, so that they are seen in `output` alone.
 * NaN stays NaN (NVFP4: in the scale). */
typedef enum lamplight_quantisation {
  LAMPLIGHT_QUANTISATION_NONE = 0,
  /* e4m3 = value × (1 / *output_scale), both rounded to fp32 */
  LAMPLIGHT_QUANTISATION_FP8 = 1,
  /* scale_output[token] = the largest magnitude of the token / 448, but at least 1 / (512 × 448);
   * e4m3 = value × (1 / that). Of a token with an infinity the scale is infinite, that element NaN
   * and all others 0 */
  LAMPLIGHT_QUANTISATION_FP8_PER_TOKEN = 2,
  /* Two e2m1 to a byte, the first in the low half. For 16 elements each:
   * e4m3 scale = *output_scale × their largest magnitude / 6; e2m1 = value × *output_scale / scale.
   * *output_scale: 448 × 6 / the largest magnitude of the tensor, as a rule. An infinity gives the
   * largest scale, 448, and the largest e2m1, 6. */
  LAMPLIGHT_QUANTISATION_NVFP4 = 3
} lamplight_quantisation;

/* Where the scales of NVFP4 lie. Values of FlashInfer's QuantizationSFLayout. */
typedef enum lamplight_scale_layout {
  LAMPLIGHT_SCALES_SWIZZLED_128X4 = 0,
  LAMPLIGHT_SCALES_LINEAR = 2
} lamplight_scale_layout;

/* What a kernel does that waits for longer than the timeout, or meets a rank that makes another
 * call. Both are reported: see lamplight_workspace_query. */
typedef enum lamplight_on_trouble {
  LAMPLIGHT_ON_TROUBLE_REPORT = 0, /* late: goes on waiting; divergence: missing data become NaN */
  LAMPLIGHT_ON_TROUBLE_TRAP = 1    /* the kernel traps: the CUDA context is lost */
} lamplight_on_trouble;

#define LAMPLIGHT_CURRENT_DEVICE (-1)
#define LAMPLIGHT_DEFAULT_TIMEOUT 0u /* 10 seconds */
#define LAMPLIGHT_NO_TIMEOUT UINT32_MAX

/* ---- Workspaces ------------------------------------------------------------------------------ */

/* Gathers `bytes` bytes at `send` from every rank into `receive`, rank r's at receive + r * bytes.
 * Blocks until all ranks have called it. Returns 0, or anything else for failure. `send` and
 * `receive` are host memory, valid until it returns. The workspace's device is current meanwhile.
 * MPI_Allgather, or torch.distributed on a CPU group, will do. */
typedef int (*lamplight_all_gather)(void* context, const void* send, size_t bytes, void* receive);

/* Start from LAMPLIGHT_WORKSPACE_OPTIONS_INIT, or from zeros, which mean device 0 instead of the
 * current one, and set struct_size. Only read while the function runs. */
typedef struct lamplight_workspace_options {
  uint32_t struct_size; /* sizeof(lamplight_workspace_options) */
  uint32_t world;       /* ranks: 2, 4, 8, 16, 32 or 64 */
  uint32_t rank;        /* this one: 0 … world − 1 */
  int32_t device;       /* CUDA ordinal, or LAMPLIGHT_CURRENT_DEVICE */
  lamplight_all_gather all_gather;
  void* all_gather_context;
  /* Capacity: the largest call, or bytes. With shapes there is room for every call of at most
   * max_tokens × max_hidden elements of `dtype` that `algorithm` (see below) allows. */
  uint32_t max_tokens;
  uint32_t max_hidden;
  uint32_t dtype;            /* lamplight_dtype */
  uint32_t algorithm;        /* what capacity by shapes must hold: AUTO: what `auto` chooses */
  uint64_t generation_bytes; /* 0: by shapes; else bytes, rounded up to a multiple of 256, and
                                shapes are not looked at */
  /* What is absent behind here, in callers built with an older header, is 0. */
  uint32_t protocol;            /* lamplight_protocol */
  uint32_t memory;              /* lamplight_memory */
  uint32_t multicast;           /* 1: with an NVLink multicast address; needs MEMORY_FABRIC */
  uint32_t exchange_timeout_ms; /* for each call of all_gather. 0: called on this thread, without
                                   bound. Else it is called on a thread of its own, which is left
                                   behind on expiry: its context must then live on */
  uint32_t timeout_ms;      /* of polling, by GPU time; LAMPLIGHT_DEFAULT_TIMEOUT, _NO_TIMEOUT */
  uint32_t on_timeout;      /* lamplight_on_trouble */
  uint32_t on_divergence;   /* lamplight_on_trouble */
  uint32_t multiprocessors; /* that calls may run on, where their streams have a share of the
                               device (green contexts); 0: all of it. Grids are made to fit there
                               at once. Need not be the same on all ranks */
} lamplight_workspace_options;

#define LAMPLIGHT_WORKSPACE_OPTIONS_INIT                                                         \
  {                                                                                              \
    sizeof(lamplight_workspace_options), 0, 0, LAMPLIGHT_CURRENT_DEVICE, 0, 0, 0, 0, 0, 0, 0, 0, \
        0, 0, 0, 0, 0, 0, 0                                                                      \
  }

/* Allocates and initialises this rank's buffer, exchanges it with the other ranks (three calls of
 * all_gather), opens theirs, checks by a store that each arrives, and loads every kernel that a
 * call can need. All ranks call it together; it succeeds on all of them or on none, and says on
 * each which rank was the cause. Ranks may be processes, threads of one process, or both; several
 * may share a device. Not to be called while a kernel of this process polls: memory and code cannot
 * be loaded then. Captures of other threads and of this one are left alone. *workspace is
 * null where it fails. */
LAMPLIGHT_API lamplight_status lamplight_workspace_create(
    const lamplight_workspace_options* options, lamplight_workspace** workspace);

/* Memory of the caller in the layout of FlashInfer's MNNVL workspaces (0.6.0 and later: nine flag
 * words), which original kernels of other ranks may use at the same time. Every word is armed with
 * 0x80000000, so calls of all dtypes may follow one another. Workspaces of FlashInfer's trtllm
 * family, armed for one width of elements, cannot be adopted. */
typedef struct lamplight_adopt_options {
  uint32_t struct_size; /* sizeof(lamplight_adopt_options) */
  uint32_t world;
  uint32_t rank;
  int32_t device;            /* CUDA ordinal, or LAMPLIGHT_CURRENT_DEVICE */
  void* flags;               /* device, 9 × uint32, initialised: the buffer_flags tensor */
  void* const* peers_device; /* device array of `world` buffer addresses, or null */
  void* const* peers_host;   /* the same in host memory; exactly one of both. Copied */
  void* local;               /* this rank's buffer as it is mapped locally */
  void* multicast;           /* multicast address of the buffers, or null: unicast */
  /* What is absent behind here is 0. */
  uint64_t generation_bytes; /* 0: as the flag words say; else both must agree */
  uint64_t header_offset;    /* where in every rank's buffer 16 × world bytes behind the three
                                generations are free, zeroed and 128-byte aligned; only where all
                                ranks use this library and `flags` has 12 words, the last three 0.
                                0: none, and ranks that diverge are not told from late ones */
  uint32_t timeout_ms;
  uint32_t on_timeout;
  uint32_t on_divergence;
  uint32_t multiprocessors; /* as in lamplight_workspace_options */
} lamplight_adopt_options;

/* Reads the flag words once, the device array of peers, and some words of `local` that no call can
 * have written: they must be armed. Exchanges nothing: the caller's memory must be initialised and
 * mapped on all ranks, and no call may be running on this rank. The caller keeps it alive until the
 * workspace is destroyed and no graph that was captured with it will run again. Loads kernels: not
 * to be called while a kernel of this process polls. Captures are left alone. */
LAMPLIGHT_API lamplight_status lamplight_workspace_adopt(const lamplight_adopt_options* options,
                                                         lamplight_workspace** workspace);

/* Frees what creation took; of an adopted workspace, nothing of the caller's. Null does nothing.
 * The ranks may do it in any order: memory that a peer still maps is freed once it does not. No
 * call may be running or waiting in a stream, and graphs captured with the workspace must not run
 * again. Waits for the device; do not call it in a hang.
 */
LAMPLIGHT_API lamplight_status lamplight_workspace_destroy(lamplight_workspace* workspace);

/* Device memory that lamplight_workspace_create will take for these options on each rank, but for
 * some KiB of its own, and what MEMORY_FABRIC rounds it up to: the granularity of the device, some
 * MiB. Makes no CUDA call. all_gather may be null. */
LAMPLIGHT_API lamplight_status lamplight_workspace_bytes(const lamplight_workspace_options* options,
                                                         uint64_t* bytes);

/* The most tokens of `hidden` elements of `dtype` that a call by `algorithm` may have; 0 where not
 * one fits. */
LAMPLIGHT_API lamplight_status lamplight_workspace_capacity(const lamplight_workspace* workspace,
                                                            uint32_t hidden, uint32_t dtype,
                                                            uint32_t algorithm, uint32_t* tokens);

/* What LAMPLIGHT_ALGORITHM_AUTO means for a call: a pure function of world, tokens, hidden, dtype,
 * protocol and capacity, hence the same on all ranks. */
LAMPLIGHT_API lamplight_status lamplight_choose(const lamplight_workspace* workspace,
                                                uint32_t tokens, uint32_t hidden, uint32_t dtype,
                                                uint32_t* algorithm);

/* ---- Calls ----------------------------------------------------------------------------------- */

/* Tensors are dense and row-major, [tokens][hidden] unless it says otherwise, in device memory, and
 * start at a multiple of 16 bytes. An output may be the very tensor `input` or `residual_in`; any
 * other overlap is an error. Tensors that the pattern or the quantisation does not use must be
 * null. The tensors must live until the call has run, and those of a captured call as long as the
 * graph may. Start from LAMPLIGHT_CALL_INIT, or from zeros and set struct_size; the struct itself
 * is only read while the function runs. */
typedef struct lamplight_call {
  uint32_t struct_size; /* sizeof(lamplight_call) */
  uint32_t pattern;     /* lamplight_pattern */
  const void* input;    /* this rank's addend */
  void* output;         /* may be null where quant_output is given */
  uint32_t tokens;      /* rows; 1 to 65536 */
  uint32_t hidden;      /* elements of a row; a multiple of 16 bytes */
  uint32_t dtype;       /* lamplight_dtype of input, output, residuals and gamma */
  uint32_t algorithm;   /* lamplight_algorithm */
  /* What is absent behind here is 0. */
  const void* residual_in;   /* RESIDUAL_RMSNORM */
  void* residual_out;        /* with a norm; may be null */
  const void* gamma;         /* with a norm; [hidden] */
  float epsilon;             /* with a norm; at least 0 */
  float weight_bias;         /* with a norm; 0, or 1 for Gemma's */
  uint32_t quantisation;     /* lamplight_quantisation */
  uint32_t scale_layout;     /* NVFP4: lamplight_scale_layout */
  void* quant_output;        /* bytes: [tokens][hidden], NVFP4 [tokens][hidden / 2] */
  void* scale_output;        /* FP8_PER_TOKEN: float[tokens]; NVFP4: lamplight_scale_bytes() */
  const float* output_scale; /* device: FP8's scale; NVFP4's global scale */
  uint32_t pdl;        /* 1: programmatic dependent launch, on devices that have it: the kernel
                          may start before the one in front has ended, and waits for it before
                          it reads or writes anything */
  uint32_t timeout_ms; /* 0: the workspace's; LAMPLIGHT_NO_TIMEOUT */
  /* 1: a promise that saves 0.1 to 0.7 us a call: whatever is launched behind it on this stream is
   * launched without programmatic dependence, or waits by griddepcontrol.wait before it ends, as
   * this library's kernels do. Then no later call can begin before this one's state is stored, and
   * it need not wait for that itself; what follows is launched when all data are here, and waits on
   * the device. Broken, a later call may take old state for its own: ranks
   * hang or are reported. 0: always right */
  uint32_t followers_wait;
  uint32_t reserved; /* 0 */
} lamplight_call;

#define LAMPLIGHT_CALL_INIT \
  { sizeof(lamplight_call), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0f, 0.0f, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Launches one kernel on `stream`, or adds it to the stream's capture, whatever its mode. Null is
 * the default stream. Allocates nothing, loads nothing, waits for nothing. The workspace's device
 * must be current. The results are the same bits on all ranks, in every run.
 * A kernel behind this one that is itself launched programmatically may start before the outputs
 * are written: it must wait by griddepcontrol.wait (cudaGridDependencySynchronize) before it reads
 * them, as it must behind any kernel. */
LAMPLIGHT_API lamplight_status lamplight_all_reduce(lamplight_workspace* workspace,
                                                    const lamplight_call* call,
                                                    lamplight_stream stream);

/* Bytes of scale_output. FP8_PER_TOKEN: 4 × tokens. NVFP4: one for each 16 elements, swizzled ones
 * with tokens rounded up to 128 and groups to 4. Otherwise 0. */
LAMPLIGHT_API lamplight_status lamplight_scale_bytes(uint32_t tokens, uint32_t hidden,
                                                     uint32_t quantisation, uint32_t scale_layout,
                                                     uint64_t* bytes);

/* ---- Trouble --------------------------------------------------------------------------------- */

typedef enum lamplight_trouble_kind {
  LAMPLIGHT_TROUBLE_NONE = 0,
  LAMPLIGHT_TROUBLE_TIMEOUT = 1,       /* data of `peer` are awaited for longer than the timeout */
  LAMPLIGHT_TROUBLE_DIVERGENCE = 2,    /* `peer` makes another call: see peer_* */
  LAMPLIGHT_TROUBLE_CAPACITY = 3,      /* the state words describe a smaller workspace */
  LAMPLIGHT_TROUBLE_CORRUPT_STATE = 4, /* the state words are impossible */
  LAMPLIGHT_TROUBLE_ARRIVAL_RESIDUE = 5, /* another kernel counted in the workspace's state */
  LAMPLIGHT_TROUBLE_MISALIGNED = 6       /* an address is misaligned */
} lamplight_trouble_kind;

typedef struct lamplight_trouble {
  uint32_t struct_size; /* sizeof(lamplight_trouble), set by the caller */
  uint32_t kind;        /* lamplight_trouble_kind; NONE: the rest is 0 */
  uint64_t workspace;   /* address of this rank's buffer */
  uint64_t epoch;       /* calls before this one; 0 where the workspace does not count them */
  uint64_t waited_ns;   /* by GPU time */
  uint32_t rank;        /* this one */
  uint32_t peer;        /* whose data are missing, or who diverges */
  uint32_t index;       /* generation in use */
  uint32_t stage;       /* 0: addends; 1: two-shot's sums */
  uint32_t token;       /* of the missing word */
  uint32_t word;        /* in the token's row, in 32-bit words */
  uint32_t bits[4];     /* what was found there */
  uint32_t arrivals;    /* clusters of the call that were done, in MNNVL workspaces that had begun;
                           ARRIVAL_RESIDUE: what was left over */
  uint32_t tokens;      /* of this rank's call */
  uint32_t hidden;
  uint32_t call;        /* dtype and algorithm of it, as kernels encode them */
  uint32_t peer_tokens; /* DIVERGENCE: of the peer's call, or a later one of its */
  uint32_t peer_hidden;
  uint32_t peer_call;
  uint32_t reserved;
} lamplight_trouble;

/* The first trouble of this rank since creation or lamplight_workspace_forget. Reads host memory
 * only, makes no CUDA call: safe in a hang and from any thread, but not during or after destroy. */
LAMPLIGHT_API lamplight_status lamplight_workspace_query(const lamplight_workspace* workspace,
                                                         lamplight_trouble* trouble);

/* Makes room for the next trouble, e.g. when a timeout was that of a slow first run. */
LAMPLIGHT_API lamplight_status lamplight_workspace_forget(lamplight_workspace* workspace);

/* One English sentence without a full stop. Writes at most `bytes` bytes, terminated; returns the
 * length that it has. */
LAMPLIGHT_API size_t lamplight_trouble_text(const lamplight_trouble* trouble, char* buffer,
                                            size_t bytes);

/* ---- Errors ---------------------------------------------------------------------------------- */

/* What the code means; static, never null. */
LAMPLIGHT_API const char* lamplight_status_text(lamplight_status status);

/* What the last function of this library that failed on this thread found: names the argument, its
 * value, and what to do. Writes at most `bytes` bytes, terminated; returns the length that it has,
 * 0 where nothing has failed. */
LAMPLIGHT_API size_t lamplight_last_error(char* buffer, size_t bytes);

/* LAMPLIGHT_VERSION of the library that runs. */
LAMPLIGHT_API uint32_t lamplight_version(void);

/* NOLINTEND(readability-identifier-naming) */

#ifdef __cplusplus
}
#endif

#endif /* LAMPLIGHT_COLLECTIVE_H_ */
