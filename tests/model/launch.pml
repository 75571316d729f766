/* The stream of a rank: when a call's blocks may pass their grid dependency.
 *
 * With CHAIN the next call waits for a kernel between the two that starts when all blocks of this
 * call have triggered, never waits itself, and may end at once: so the trigger is all that orders
 * the calls. Every behaviour of calls that wait for each other directly is among these, but for
 * what the end of a kernel makes visible. Without CHAIN the next call waits for the end of all
 * blocks.
 *
 * RESIDUE: something else has left an arrival in each rank's word. A block counts in both halves of
 * the word, and what was left is in the lower one only. The upper half, `counted`, is modelled only
 * then; otherwise the halves are equal. ONE_COUNT, a mutation and the field: no upper half.
 *
 * LANES is how many calls of a rank may run at a time; 1 will do where nothing that others see
 * follows the trigger.
 */
byte turn[W];     /* the call that may pass its grid dependency */
byte released[W]; /* blocks of that call which have triggered, or ended */
byte blocks_done;
bool lost_update, residue, unreported;

#if defined(RESIDUE) && !defined(ONE_COUNT)
byte counted[W];
bool reported[W];
#define Here(rank) counted[rank]
inline CountIn(rank) { arrivals[rank]++; counted[rank]++ }
inline Report(rank) { reported[rank] = reported[rank] || arrivals[rank] != counted[rank] }
inline ForgetArrivals(rank) { d_step { arrivals[rank] = 0; counted[rank] = 0 } }
#define ResidueIsReported(rank) reported[rank]
#else
#define Here(rank) arrivals[rank]
inline CountIn(rank) { arrivals[rank]++ }
inline Report(rank) { skip }
inline ForgetArrivals(rank) { arrivals[rank] = 0 }
#define ResidueIsReported(rank) true
#endif

#define Lane(r, b, lane) (((r)*LANES + (lane)) * B + (b))

inline Release() {
  released[r]++;
  if
  :: released[r] == B ->
    released[r] = 0;
#ifdef QUIET_AT_RELEASE
    residue = (arrivals[r] != 0);
    assert(!residue);
#endif
    turn[r] = NextCall(op, 1);
    printf("rank %d block %d call %d: releases the next call\n", r, b, op)
  :: else
  fi
}

inline Trigger() {
#ifdef CHAIN
  atomic { Release() }
#else
  skip
#endif
}

/* The end of a kernel makes its own stores visible. */
inline End() {
#ifdef CHAIN
  d_step { FinishClears(r, Lane(r, b, lane)); op = NextCall(op, LANES) }
#else
  d_step { FinishClears(r, Lane(r, b, lane)); Release(); op = NextCall(op, LANES) }
#endif
}

#if OPS > 0
/* When all is over: every rank has moved on once for each call, and nothing is left behind. */
proctype Quiet() {
  byte rank;
  atomic {
    blocks_done == W * B * LANES ->
    do
    :: rank < W ->
      lost_update = !MovedOn(rank, OPS);
      assert(!lost_update);
      residue = (arrivals[rank] != 0);
      assert(!residue);
      unreported = !ResidueIsReported(rank);
      assert(!unreported);
      rank++
    :: else -> break
    od
  }
}
#endif

init {
  byte rank, block, lane;
  atomic {
    do
    :: rank < W ->
      Prepare(rank);
#ifdef RESIDUE
      arrivals[rank] = 1;
#endif
      run Link(rank);
      lane = 0;
      do
      :: lane < LANES ->
        block = 0;
        do
        :: block < B ->
#ifdef HAS_CLEARS
          run LocalStores(rank, Lane(rank, block, lane));
#endif
          printf("process %d is rank %d block %d lane %d\n", _nr_pr, rank, block, lane);
          run Block(rank, block, lane);
          block++
        :: else -> break
        od;
        lane++
      :: else -> break
      od;
      rank++
    :: else -> break
    od;
    rank = 0;
    block = 0;
    lane = 0;
#if OPS > 0
    run Quiet()
#endif
  }
}
