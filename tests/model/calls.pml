/* The calls that every rank makes, in order, and what may be told about them by their number.
 *
 * A call is one-shot or two-shot and has one or two tokens. A token's share of one rank is one
 * packet, so sizes count packets. Tokens never outnumber the ranks: the owner of token t is rank
 * t.
 *
 * CALLS holds two bits for each call, CALLS_LENGTH calls, repeated for ever. Without CALLS each
 * call is chosen freely, by the first rank that comes to it.
 *
 * OPS calls are made. OPS = 0, for free calls only, means that there is no end: call numbers then
 * count modulo PERIOD, and the search is exhaustive for any number of calls. PERIOD is a multiple
 * of every cycle in the model, and a packet that is left behind is met, in one of the runs, by a
 * call that it does not belong to before the numbers repeat.
 */
#ifndef OPS
#define OPS 0
#endif
#ifndef PERIOD
#if OPS > 0
#define PERIOD 255
#else
#define PERIOD 6
#endif
#endif

#define NextCall(op, step) (((op) + (step)) % PERIOD)

#define Tokens(shape) (1 + ((shape)&1))
#define TwoShot(shape) ((shape) >> 1)
#define Stages(shape) (1 + TwoShot(shape))

#ifdef CALLS
#if OPS == 0
#error "without an end the calls must be free: give OPS, or any calls"
#endif
#define Shape(op) ((CALLS >> (2 * ((op) % CALLS_LENGTH))) & 3)
#define ChooseShape(op) skip
#else
byte shapes[2]; /* of the newest call and the one before it: no rank is further behind */
byte newest_call;

#define Shape(op) shapes[(op) % 2]

inline ChooseShape(op) {
  if
  :: op == newest_call ->
    if
    :: shapes[op % 2] = 0
    :: shapes[op % 2] = 1
    :: shapes[op % 2] = 2
    :: shapes[op % 2] = 3
    fi;
    newest_call = NextCall(op, 1)
  :: else
  fi
}
#endif

/* Slots of a stage, and polls of a block. A block has one token, or all of them where B is 1.
 *
 * STREAMED: of a one-shot call block 0 sends all tokens and waits for nothing; the blocks behind it
 * do all else, as if there were no other.
 */
#define FirstSlots(shape) (TwoShot(shape) -> W : Tokens(shape) * W)
#define SecondSlots(shape) (TwoShot(shape) -> Tokens(shape) : 0)
#define SlotsPerStage(stages) (SLOTS / (stages))

#define OneShotSlot(t, p) ((t)*W + (p))
#define ScatterSlot(p) (p)
#define BroadcastSlot(t) (SLOTS / 2 + (t))

#define Peer(r, n) ((n) % (W - 1) + ((n) % (W - 1) >= (r)))
#define Owns(r, b, shape) (TwoShot(shape) && (r) < Tokens(shape) && (r) % B == (b))
#define ScatterPolls(r, b, shape) (Owns(r, b, shape) -> W - 1 : 0)
/* Blocks of a one-shot call that send, the first ones, and that do all else, the last ones. */
#ifdef STREAMED
#if B < 2
#error "one block sends, others do the rest: give B=2 or more"
#endif
#define SENDERS 1
#define FINISHERS (B - 1)
#else
#define SENDERS B
#define FINISHERS B
#endif
#define OnlySends(b, shape) (!TwoShot(shape) && (b) < B - FINISHERS)
#define FirstSent(b, shape) (TwoShot(shape) || (b) < SENDERS -> (b) : Tokens(shape))
#define SentStep(shape) (TwoShot(shape) -> B : SENDERS)
/* The block's number among those that clear, and how many these are. */
#define Finisher(b) ((b) - (B - FINISHERS))
#define FirstCleared(b, shape) (TwoShot(shape) -> (b) : Finisher(b))
#define Clearing(shape) (TwoShot(shape) -> B : FINISHERS)
#if FINISHERS == 1
#define TokenOfOneShotPoll(b, n) ((n) / (W - 1))
#define OneShotPolls(b, shape) (OnlySends(b, shape) -> 0 : Tokens(shape) * (W - 1))
#else
#define TokenOfOneShotPoll(b, n) Finisher(b)
#define OneShotPolls(b, shape) \
  (!OnlySends(b, shape) && Finisher(b) < Tokens(shape) -> W - 1 : 0)
#endif
#if B == 1
#define TokenOfBroadcastPoll(r, b, n) ((n) + ((n) >= (r)))
#define BroadcastPolls(r, b, shape) (Tokens(shape) - ((r) < Tokens(shape)))
#else
#define TokenOfBroadcastPoll(r, b, n) (b)
#define BroadcastPolls(r, b, shape) ((b) < Tokens(shape) && (b) != (r) -> 1 : 0)
#endif

#define ResultPolls(r, b, shape) \
  (TwoShot(shape) -> BroadcastPolls(r, b, shape) : OneShotPolls(b, shape))
