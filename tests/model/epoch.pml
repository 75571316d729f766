/* The epoch protocol for workspaces that the library creates: each packet carries the number of
 * its call in the same atomic unit as the payload. No sentinel, no clears, two generations (number
 * mod 2).
 *
 * A packet has two words here, the tag and the payload, which land together; with SPLIT they do
 * not. A payload is the number of the call that it was sent for, a ghost.
 *
 * Switches: W, B, CHAIN, STREAMED as in compatible.pml; TAG_BITS: the tag is cut to so many bits;
 * and the mutations.
 */
#ifndef W
#define W 2
#endif
#ifndef B
#define B 2
#endif
#if defined(CHAIN) && defined(EARLY_TRIGGER)
#define LANES 2
#else
#define LANES 1
#endif
#if !defined(EARLY_TRIGGER) && !defined(NO_ENTRY_CHECK)
#define QUIET_AT_RELEASE
#endif
#ifndef GENERATIONS
#define GENERATIONS 2
#endif
#define SLOTS (W * 2)
#define WORDS 2
#if !defined(OPS)
#define PERIOD 4
#endif

#ifdef TAG_BITS
#define Tag(number) ((number) % (1 << TAG_BITS))
#else
#define Tag(number) (number)
#endif
#define Packet(number, op) (1 + (op)*12 + (number))
#define PartOf(value, w) ((w) == 0 -> 1 + Tag(((value)-1) % 12) : 1 + ((value)-1) / 12)

byte epoch[W], arrivals[W];

#define WorkingGeneration(rank) (epoch[rank] % GENERATIONS)
#define MovedOn(rank, ops) (epoch[rank] == (ops))

#include "calls.pml"
#include "memory.pml"

#define STEP d_step
#define ChooseKind(who, t, op) skip
#define ShardWord(who, t, op) Packet(number, op)
#define SumWord(t, op) Packet(number, op)
#define SentShard(who, t, op) (1 + (op))
#define SentSum(t, op) (1 + (op))
#define Arrived(rank, place) (WordAt(rank, place, 0) == 1 + Tag(number))
#define Right(place, expected) (WordAt(r, place, 1) == (expected))

#include "exchange.pml"

inline Prepare(rank) { skip }

#include "launch.pml"

/* Without an end, call numbers repeat here, and 64-bit tags do not. So when the first rank begins
 * a call, the tags of the call before the last are forgotten. No later call waits for them, so
 * this hides no error; if a rank still did, it would now wait for ever, and if one were still on
 * its way, `overtaken` would say so.
 */
#define LastButOne(op) (((op) + PERIOD - 2) % PERIOD)

inline ForgetOldTags() {
#if OPS == 0
  d_step {
    i = 0;
    do
    :: op == newest_call && i < W * PLACES ->
      overtaken = (carried[i] == Packet(LastButOne(op), LastButOne(op)));
      assert(!overtaken);
      if
      :: word[i * WORDS] == 1 + LastButOne(op) -> word[i * WORDS] = 0; word[i * WORDS + 1] = 0
      :: else
      fi;
      i++
    :: else -> break
    od;
    i = 0
  }
#else
  skip
#endif
}

inline ReadEpoch() {
#ifndef NO_ENTRY_CHECK
  lost_update = !MovedOn(r, op);
  assert(!lost_update);
#endif
  number = epoch[r];
  generation = number % GENERATIONS;
  printf("rank %d block %d call %d: reads epoch %d; %d tokens, %d stages\n", r, b, op, number,
         Tokens(Shape(op)), Stages(Shape(op)))
}

#ifdef EARLY_ADVANCE
#define AdvancingArrival 1
#else
#define AdvancingArrival B
#endif
#ifdef LOSE_UPDATE
#define Updates(r, op) ((r) != 0 || (op) != 1)
#else
#define Updates(r, op) true
#endif

/* The last arrival of a call moves the epoch on. */
inline Arrive() {
  d_step {
    number = 0;
    CountIn(r);
    n = Here(r);
    printf("rank %d block %d call %d: arrives, %d have\n", r, b, op, n)
  }
  if
  :: d_step { n == AdvancingArrival && Updates(r, op) -> epoch[r] = NextCall(epoch[r], 1) }
  :: n != AdvancingArrival || !(Updates(r, op))
  fi;
  d_step {
    if
    :: n >= B -> Report(r); ForgetArrivals(r)
    :: else
    fi;
    n = 0
  }
}

inline Finish() {
#ifdef EARLY_TRIGGER
  Trigger();
  Arrive()
#else
  Arrive();
  Trigger()
#endif
}

proctype Block(byte r; byte b; byte lane) {
  byte op = lane, number, generation;
  byte n, t, i;
  do
#if OPS > 0
  :: op >= OPS -> break
  :: op < OPS ->
#else
  :: true ->
#endif
    atomic { turn[r] == op -> ForgetOldTags(); ChooseShape(op) }
    STEP { ReadEpoch(); SendShard() }
    PollScatterAndBroadcast();
    PollResults();
#if defined(REDUCED) && B == 1
    atomic { Finish(); End() } /* of one block nobody else sees these steps */
#else
    Finish();
    End()
#endif
  od;
  blocks_done++
}
