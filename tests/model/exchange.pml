/* What a block sends and what it waits for, whatever the protocol. Expanded inside proctype Block,
 * whose variables it uses: r, b, op, generation, n, t, i.
 *
 * The including model has defined Arrived (a rank's packet at a place is what the compare takes
 * for present), Right (it is what was sent for this call), SentShard and SentSum (that, for the
 * trace), ShardWord and SumWord (what goes into memory), ChooseKind.
 */
#define Place(generation, slot) ((generation)*SLOTS + (slot))

/* Sends are one step: each may land at any later time, so steps between them would add nothing. */
inline SendToAll(slot, value) {
  i = 0;
  do
  :: i < W ->
    if
    :: i == r -> StoreHere(i, Place(generation, slot), value)
    :: else -> StoreToPeer(i, Place(generation, slot), value)
    fi;
    i++
  :: else -> break
  od;
  i = 0
}

inline SendTo(rank, slot, value) {
  if
  :: rank == r -> StoreHere(rank, Place(generation, slot), value)
  :: else -> StoreToPeer(rank, Place(generation, slot), value)
  fi
}

inline SendShard() {
  t = FirstSent(b, Shape(op));
  do
  :: t < Tokens(Shape(op)) ->
    ChooseKind(r, t, op);
    printf("rank %d block %d call %d: sends token %d to generation %d: %d\n", r, b, op, t,
           generation, ShardWord(r, t, op));
    if
    :: TwoShot(Shape(op)) -> SendTo(t, ScatterSlot(r), ShardWord(r, t, op))
    :: else -> SendToAll(OneShotSlot(t, r), ShardWord(r, t, op))
    fi;
    t = t + SentStep(Shape(op))
  :: else -> break
  od;
  t = 0
}

inline Take(place, expected) {
  printf("rank %d block %d call %d: takes generation %d slot %d: %d %d, sent for it: %d\n", r, b,
         op, (place) / SLOTS, (place) % SLOTS, WordAt(r, place, 0), WordAt(r, place, WORDS - 1),
         expected);
  stale_read = !Right(place, expected);
  assert(!stale_read)
}

#define OneShotPlace(n) Place(generation, OneShotSlot(TokenOfOneShotPoll(b, n), Peer(r, n)))
#define ScatterPlace(n) Place(generation, ScatterSlot(Peer(r, n)))
#define BroadcastPlace(n) Place(generation, BroadcastSlot(TokenOfBroadcastPoll(r, b, n)))

/* The owner of a token waits for all shards, adds them in the order of the ranks, sends the sum. */
inline PollScatterAndBroadcast() {
  do
  :: atomic {
    n < ScatterPolls(r, b, Shape(op)) && Arrived(r, ScatterPlace(n)) ->
    Take(ScatterPlace(n), SentShard(Peer(r, n), r, op));
    n++;
    if
    :: n == ScatterPolls(r, b, Shape(op)) ->
      ChooseKind(W, r, op);
      printf("rank %d block %d call %d: broadcasts the sum: %d\n", r, b, op, SumWord(r, op));
      SendToAll(BroadcastSlot(r), SumWord(r, op))
    :: else
    fi
  }
  :: atomic { n == ScatterPolls(r, b, Shape(op)) -> n = 0; break }
  od
}

/* A guard blocks until its packet is there: a poll that waits for ever is an invalid end state. */
inline PollResults() {
  do
  :: atomic {
    !TwoShot(Shape(op)) && n < OneShotPolls(b, Shape(op)) && Arrived(r, OneShotPlace(n)) ->
    Take(OneShotPlace(n), SentShard(Peer(r, n), TokenOfOneShotPoll(b, n), op));
    n++
  }
  :: atomic {
    TwoShot(Shape(op)) && n < BroadcastPolls(r, b, Shape(op)) && Arrived(r, BroadcastPlace(n)) ->
    Take(BroadcastPlace(n), SentSum(TokenOfBroadcastPoll(r, b, n), op));
    n++
  }
  :: atomic { n == ResultPolls(r, b, Shape(op)) -> n = 0; generation = 0; break }
  od
}
