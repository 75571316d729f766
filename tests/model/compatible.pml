/* The Lamport protocol of kernels that share workspaces and flag words with FlashInfer's eras C to
 * G: three generations, sentinel words, clears, flag words [cur, dirty, ., stages, clear0, clear1,
 * arrivals].
 *
 * README.md says what is modelled, what is not, and what the configurations show. Switches here:
 *   W, B          ranks, blocks of a call on each rank
 *   CHAIN         launch.pml
 *   FIELD_ORDER   era G: send, arrive, clear, poll, trigger, update.
 *                 Default: send, clear, poll, arrive, update, trigger.
 *   EARLY_COUNT   Send, clear, arrive, poll; the last block to arrive updates at its end; trigger.
 *                 What our kernels do in MNNVL workspaces where no ring is told of their end.
 *   STREAMED      calls.pml
 *   MIXED_GROUP   rank 0 in the field's order, the others in ours; not with CHAIN
 *   TRIGGER_LAST  the field's order, but the trigger follows the update
 *   RESIDUE       launch.pml
 * and the mutations, each in the `#ifdef` of its name.
 */
#ifndef W
#define W 2
#endif
#ifndef B
#define B 2
#endif
#if defined(CHAIN) && \
  (defined(FIELD_ORDER) || defined(EARLY_TRIGGER) || defined(RELAXED_ARRIVAL) || \
   defined(LATE_CLEAR))
#define LANES 2
#else
#define LANES 1
#endif
#if !defined(FIELD_ORDER) && !defined(EARLY_TRIGGER) && !defined(NO_ENTRY_CHECK)
#define QUIET_AT_RELEASE
#endif
#ifndef GENERATIONS
#define GENERATIONS 3
#endif
#define SLOTS (W * 2)
#ifndef WORDS
#define WORDS 1
#endif
#define HAS_CLEARS
#define PartOf(value, w) (value)

/* Flag words of each rank. */
byte current[W], dirty[W], dirty_stages[W], clear0[W], clear1[W], arrivals[W];

#define NextGeneration(g) (((g) + 1) % GENERATIONS)
#define WorkingGeneration(rank) current[rank]
#define MovedOn(rank, ops) (current[rank] == (ops) % GENERATIONS)

#include "calls.pml"
#include "memory.pml"
#include "values.pml"

#define Right(place, expected) \
  (WordAt(r, place, 0) == (expected) && WordAt(r, place, WORDS - 1) == (expected))
#ifdef ONE_WORD_COMPARE
#define Arrived(rank, place) Present(WordAt(rank, place, 0))
#else
#define Arrived(rank, place) \
  (Present(WordAt(rank, place, 0)) && Present(WordAt(rank, place, WORDS - 1)))
#endif

#include "exchange.pml"

inline Prepare(rank) { dirty[rank] = GENERATIONS - 1 }

#include "launch.pml"

inline ReadFlags() {
#ifndef NO_ENTRY_CHECK
  lost_update = !MovedOn(r, op);
  assert(!lost_update);
#endif
  generation = current[r];
  old = dirty[r];
  old_stages = dirty_stages[r];
  size0 = clear0[r];
  size1 = clear1[r];
#ifdef CLEAR_CURRENT_SIZE
  if
  :: old_stages > 0 ->
    old_stages = Stages(Shape(op));
    size0 = FirstSlots(Shape(op));
    size1 = SecondSlots(Shape(op))
  :: else
  fi;
#endif
#ifdef CLEAR_NEXT
  old = NextGeneration(generation);
  old_stages = 1;
  size0 = SLOTS;
  size1 = 0;
#endif
  printf("rank %d block %d call %d: reads the flags: generation %d; %d tokens, %d stages\n", r, b,
         op, generation, Tokens(Shape(op)), Stages(Shape(op)))
}

/* This block's part of a stage of the old generation. */
inline ClearStage(stage, size) {
  i = FirstCleared(b, Shape(op));
  do
  :: i < size ->
    clearing[Lane(r, b, lane)] =
      clearing[Lane(r, b, lane)] | PlaceBits(Place(old, (stage)*SlotsPerStage(old_stages) + i));
    i = i + Clearing(Shape(op))
  :: else -> break
  od;
  i = 0
}

inline Clear() {
#ifndef NO_CLEAR
  if
  :: old_stages > 0 && !OnlySends(b, Shape(op)) ->
    printf("rank %d block %d call %d: clears generation %d: %d + %d packets\n", r, b, op, old,
           size0, size1);
    ClearStage(0, size0);
    ClearStage(1, size1)
  :: else
  fi;
#endif
  old = 0;
  old_stages = 0;
  size0 = 0;
  size1 = 0
}

inline Arrive() {
  CountIn(r);
  printf("rank %d block %d call %d: arrives, %d have\n", r, b, op, arrivals[r])
}

#ifdef LOSE_UPDATE
#define Updates(r, op) ((r) != 0 || (op) != 1)
#elif defined(LOSE_ALL_UPDATES)
#define Updates(r, op) false
#else
#define Updates(r, op) true
#endif

#ifdef SENDERS_NOT_COUNTED
#define Counted(shape) Clearing(shape)
#else
#define Counted(shape) B
#endif

/* Block 0 only. Three stores: a reader that is too early can see one and miss the others. */
inline UpdateFlags() {
  d_step {
    Here(r) >= Counted(Shape(op)) ->
    Report(r);
    if
    :: Updates(r, op) ->
      dirty[r] = current[r];
      current[r] = NextGeneration(current[r])
    :: else
    fi;
    printf("rank %d block %d call %d: moves the flags on to generation %d\n", r, b, op, current[r])
  }
  d_step {
    dirty_stages[r] = Stages(Shape(op));
    clear0[r] = FirstSlots(Shape(op));
    clear1[r] = SecondSlots(Shape(op))
  }
  ForgetArrivals(r)
}

/* The last block to count moves the flags on when it has ended. */
inline ArriveEarly() {
#ifdef SENDERS_NOT_COUNTED
  if
  :: OnlySends(b, Shape(op)) -> skip
  :: else -> Arrive(); last = (Here(r) == Counted(Shape(op)))
  fi
#else
  Arrive();
  last = (Here(r) == Counted(Shape(op)))
#endif
}

inline UpdateByFirstBlock() {
  if
  :: b == 0 -> UpdateFlags()
  :: else
  fi
}

inline BeginInFieldOrder() {
  STEP { ReadFlags(); SendShard() }
  STEP { Arrive(); Clear() }
}

inline FinishInFieldOrder() {
#ifdef TRIGGER_LAST
  UpdateByFirstBlock();
  Trigger()
#else
  Trigger();
  UpdateByFirstBlock()
#endif
}

inline BeginAndCount() {
#ifdef COUNT_BEFORE_READ
  STEP { ArriveEarly() }
  STEP { ReadFlags(); SendShard(); Clear() }
#else
  STEP { ReadFlags(); SendShard(); Clear() }
  STEP { ArriveEarly() }
#endif
}

inline FinishCounted() {
  atomic {
#ifndef RELAXED_ARRIVAL
    FinishClears(r, Lane(r, b, lane));
#endif
    skip
  }
#ifdef EARLY_TRIGGER
  Trigger();
#endif
  if
  :: last -> UpdateFlags()
  :: else
  fi
#ifndef EARLY_TRIGGER
  ; Trigger()
#endif
}

inline Begin() {
#if defined(CLEAR_BEFORE_SEND)
  STEP { ReadFlags(); Clear() }
  STEP { FinishClears(r, Lane(r, b, lane)); SendShard() }
#elif defined(LATE_CLEAR)
  STEP { ReadFlags(); SendShard() }
#else
  STEP { ReadFlags(); SendShard(); Clear() }
#endif
}

/* An arrival is a release: the block's clears have landed. */
inline Finish() {
  atomic {
#ifndef RELAXED_ARRIVAL
    FinishClears(r, Lane(r, b, lane));
#endif
    Arrive()
  }
#ifdef EARLY_TRIGGER
  Trigger();
#endif
  UpdateByFirstBlock()
#ifndef EARLY_TRIGGER
  ; Trigger()
#endif
#ifdef LATE_CLEAR
  ; d_step { Clear() }
#endif
}

#ifdef EARLY_COUNT
#define BeginOurs BeginAndCount
#define FinishOurs FinishCounted
#else
#define BeginOurs Begin
#define FinishOurs Finish
#endif

proctype Block(byte r; byte b; byte lane) {
  byte op = lane, generation, old, old_stages, size0, size1;
  byte n, t, i;
#ifdef EARLY_COUNT
  bool last;
#endif
  do
#if OPS > 0
  :: op >= OPS -> break
  :: op < OPS ->
#else
  :: true ->
#endif
    atomic { turn[r] == op -> ChooseShape(op) }
#if defined(MIXED_GROUP)
    if
    :: r == 0 -> BeginInFieldOrder()
    :: else -> BeginOurs()
    fi;
#elif defined(FIELD_ORDER)
    BeginInFieldOrder();
#else
    BeginOurs();
#endif
    PollScatterAndBroadcast();
    PollResults();
#if defined(MIXED_GROUP)
    if
    :: r == 0 -> FinishInFieldOrder()
    :: else -> FinishOurs()
    fi;
    End()
#elif defined(FIELD_ORDER)
    FinishInFieldOrder();
    End()
#elif defined(REDUCED) && B == 1
    atomic { FinishOurs(); End() } /* of one block nobody else sees these steps */
#else
    FinishOurs();
    End()
#endif
  od;
  blocks_done++
}
