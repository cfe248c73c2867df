/* SPDX-License-Identifier: BSD-3-Clause */
/* session.pml - one client's channel to the owner of a disk, with requests that are
 * delayed on broken connections, owners that crash, and a disk that moves between two
 * owners and back. docs/model.md says where each step is in the code.
 *
 * A request stays on one thread, at the client and at the owner, so each is a process.
 * All requests are writes to the same bytes; request 1 arrives before request 2. Who
 * owns the disk is taken from handoff.pml: here it changes in order.
 *
 * -DR=2           requests
 * -DS=3           sessions that the client may open
 * -DMAX_MOVES=2   handoffs
 * -DMAX_CRASHES=1
 * -DMAX_FORGETS=0 next owners that die while they serve and their record is not durable
 * -DGIVER         the client's own service is the owner 1: it gives the disk to owner 0
 *                 and gets it back (two services). Else it is a third one that follows
 * -DBUG_...       seeded bugs, see below
 */
#ifndef R
#define R 2
#endif
#ifndef S
#define S 3
#endif
#ifndef MAX_MOVES
#define MAX_MOVES 2
#endif
#ifndef MAX_CRASHES
#define MAX_CRASHES 1
#endif
#ifndef MAX_FORGETS
#define MAX_FORGETS 0
#endif

/* port_channel.c. Requests and sessions count from 0. */
mtype:channel = { IDLE, CONNECTING, UP, BROKEN };
mtype:request = { NOT_YET, WAITING, SENT, DONE };
mtype:channel channel;
mtype:request request[R];
bool doubtful[R];
byte sessions;            /* that were numbered; the newest is sessions - 1 */
byte believed_owner, believed_epoch = 1;

/* The channel name of a session, and what became of its opening: session_open(). */
mtype:opening = { NO_OPENING, ASKED, FENCING, SERVED, STALE };
mtype:opening opening[S];
byte session_owner[S], session_epoch[S];

/* A copy of a request: one for each session it was sent in. */
mtype:copy = { NO_COPY, ON_WIRE, READ, ENTERED, HELD, AT_PORT, ANSWERED, SHUTDOWN };
mtype:copy copies[R * S];

/* The owners: session.c, redirector.c */
mtype:gate = { OPEN_A, HOLDING, OPEN_B };
bool is_up[2];
mtype:gate gate[2];
byte first[2], current[2]; /* epochs served; first > current: none */
byte newest[2];            /* session + 1, 0 for none; the older ones are fenced */

/* The records, and the handoff that is going on */
byte owner, epoch = 1;
mtype:move = { NO_MOVE, PREPARE, DRAIN, EJECTED, SERVING };
mtype:move move;

/* What happened */
bool performed[R];
bool was_doubtful[R];
bool follows_doubt[R * R]; /* [q * R + r]: q was sent while r was doubtful */
byte moves, crashes, forgets;
bool calm;
#ifdef BUG_TAKE_BACK_SERVES_OLD
byte owned_since = 1; /* of the owner whose record was durable last */
#endif

#define COPY(r, s) copies[(r) * S + (s)]
#define CUR (sessions - 1)
#define OF(s) session_owner[s]

#ifdef BUG_NO_FENCING
#define IS_FENCED(s) false
#else
#define IS_FENCED(s) ((s) + 1 < newest[OF(s)])
#endif
#ifdef BUG_NO_EPOCH_CHECK
#define IS_OLD(s) false
#else
#define IS_OLD(s)                                                                      \
    (session_epoch[s] < first[OF(s)] ||                                     \
     session_epoch[s] > current[OF(s)])
#endif
#define IS_INSIDE(c) ((c) == ENTERED || (c) == HELD || (c) == AT_PORT)

#ifdef BUG_RECALL_FORGETS_ORDER
#define LOCAL_HAS_TO_FOLLOW(r) false
#else /* the order of the redirector's queue */
#define LOCAL_HAS_TO_FOLLOW(r) HAS_TO_FOLLOW(r)
#endif

/* At a device's port A. */
inline perform(r)
{
    assert(request[r] != DONE); /* no ghost: never again after its acknowledgement */
    assert(!performed[r] || was_doubtful[r]); /* twice only after a broken session */
    k = r + 1;
    do
    :: k < R -> assert(!(request[k] == DONE && follows_doubt[k * R + r])); k++
    :: else -> break
    od;
    k = 0;
    performed[r] = true
}

inline done(r)
{
    assert(performed[r]); /* not lost */
    request[r] = DONE;
    doubtful[r] = false
}

/* channel_lanes_shutdown(): every thread leaves, with -ENOTCONN; unacked_doubt() */
inline lanes_shutdown()
{
    k = 0;
    do
    :: k < R ->
       if
       :: request[k] == SENT ->
          request[k] = WAITING;
          doubtful[k] = true;
          was_doubtful[k] = true
       :: else
       fi;
       k++
    :: else -> break
    od;
    k = 0
}

#define HAS_USERS (request[0] == SENT || request[1] == SENT || request[R - 1] == SENT)
#ifdef GIVER
#define IS_MINE (owner == 1) /* the client's own service has the disk */
#else
#define IS_MINE false
#endif
#ifdef GIVER
#define GOES_BY_B (gate[1] == OPEN_B)
#define IS_FOLLOWED (move == SERVING && owner == 0) /* only the giver knows yet */
#else
#define GOES_BY_B true
#define IS_FOLLOWED false
#endif
#ifdef BUG_NO_ORDER
#define HAS_TO_FOLLOW(r) false
#else /* unacked_has_to_follow() */
#define HAS_TO_FOLLOW(r)                                                               \
    ((r > 0 && doubtful[0]) || (r > 1 && doubtful[1 % R]) || (r > 2 && doubtful[2 % R]))
#endif

inline note_doubt(r)
{
    k = 0;
    do
    :: k < r -> follows_doubt[r * R + k] = follows_doubt[r * R + k] || doubtful[k]; k++
    :: else -> break
    od;
    k = 0
}

/* channel_submit() */
proctype thread(byte r)
{
    byte k;

end:
    do
    /* A VM's request arrives: unacked_arrive() */
    :: atomic { request[r] == NOT_YET && (r == 0 || request[r - 1] != NOT_YET) ->
           request[r] = WAITING }
    /* enter(): becomes a user of the lanes, unless it has to follow */
    :: atomic {
           request[r] == WAITING && channel == UP && !HAS_TO_FOLLOW(r) && GOES_BY_B ->
           note_doubt(r);
           request[r] = SENT;
           COPY(r, CUR) = ON_WIRE
       }
    /* leave(): answered */
    :: atomic {
           request[r] == SENT && COPY(r, CUR) == ANSWERED ->
           COPY(r, CUR) = NO_COPY;
           done(r)
       }
    /* leave(): NBD_ESHUTDOWN, not performed; break_session() with a farewell */
    :: atomic {
           request[r] == SENT && COPY(r, CUR) == SHUTDOWN ->
           COPY(r, CUR) = NO_COPY;
           request[r] = WAITING;
           channel = BROKEN
       }
#ifdef GIVER
    /* the channel was recalled: the redirector sends it to port A */
    :: atomic {
           request[r] == WAITING && gate[1] == OPEN_A && !HAS_USERS &&
           !LOCAL_HAS_TO_FOLLOW(r) ->
           note_doubt(r);
           perform(r);
           done(r)
       }
#endif
    od
}

/* Whoever connects: reconnect(), try_connect(), break_session(), await_users(). */
proctype connect()
{
    byte k;

end:
    do
    /* A session is numbered and asked for, at the owner that is known or is learned
     * now. A number that was refused is used again, to need fewer of them: nothing was
     * ever sent with it. */
    :: atomic {
           (channel == IDLE || channel == BROKEN) && !HAS_USERS && !IS_MINE &&
           (move == NO_MOVE || IS_FOLLOWED) && (sessions < S || opening[CUR] == STALE) ->
           if
           :: believed_owner = owner; believed_epoch = epoch
           :: !calm && (believed_owner != owner || believed_epoch != epoch)
           fi;
           if
           :: sessions > 0 && opening[(sessions > 0 -> CUR : 0)] == STALE
           :: else -> sessions++
           fi;
           session_owner[CUR] = believed_owner;
           session_epoch[CUR] = believed_epoch;
           opening[CUR] = ASKED;
           channel = CONNECTING
       }
    :: atomic { channel == CONNECTING && opening[CUR] == SERVED -> channel = UP }
    :: atomic { channel == CONNECTING && opening[CUR] == STALE -> channel = IDLE }
    /* it lasts too long; the question may still arrive */
    :: atomic { channel == CONNECTING && !calm && sessions < S -> channel = IDLE }
    /* the connection breaks, or the farewell ends without all answers */
    :: atomic {
           (channel == UP || channel == BROKEN) && !calm && sessions < S ->
           lanes_shutdown();
           channel = BROKEN
       }
    /* ... which it does for certain when the owner's process is gone */
    :: atomic {
           (channel == UP || channel == BROKEN) && opening[CUR] == STALE ->
           lanes_shutdown();
           channel = IDLE
       }
#ifdef GIVER
    /* disk_assign(): port_channel_recall() of what is not answered */
    :: atomic {
           IS_MINE && (move == NO_MOVE || move == SERVING) && channel != IDLE ->
           lanes_shutdown();
           channel = IDLE
       }
#endif
    od
}

inline is_quiet(s) /* nothing of the older sessions is between enter() and leave() */
{
    older_are_busy = false;
    k = 0;
    do
    :: k < s ->
       if
       :: OF(k) == OF(s) ->
          j = 0;
          do
          :: j < R ->
             if
             :: COPY(j, k) == HELD -> COPY(j, k) = SHUTDOWN /* redir_bounce() */
             :: COPY(j, k) == ENTERED || COPY(j, k) == AT_PORT -> older_are_busy = true
             :: else
             fi;
             j++
          :: else -> break
          od;
          j = 0
       :: else
       fi;
       k++
    :: else -> break
    od;
    k = 0
}

/* session_open() at the owner */
proctype opener(byte s)
{
    byte k, j;
    bool older_are_busy;

end:
    do
    /* find_session() */
    :: atomic {
           opening[s] == ASKED && is_up[OF(s)] ->
           if
           :: IS_OLD(s) || s + 1 < newest[OF(s)] -> opening[s] = STALE
           :: else -> newest[OF(s)] = s + 1; opening[s] = FENCING
           fi
       }
    /* fence_older() */
    :: atomic {
           opening[s] == FENCING ->
           is_quiet(s);
#if defined(BUG_NO_FENCING) || defined(BUG_NO_WAIT)
           older_are_busy = false;
#endif
           if
           :: s + 1 < newest[OF(s)] -> opening[s] = STALE
           :: s + 1 == newest[OF(s)] && !older_are_busy -> opening[s] = SERVED
           :: else
           fi;
           older_are_busy = false
       }
    od
}

/* A worker of the owner: session_submit(), redir_submit(). */
proctype worker(byte r; byte s)
{
    byte k;

end:
    do
    :: atomic { COPY(r, s) == ON_WIRE && is_up[OF(s)] -> COPY(r, s) = READ }
    /* enter() */
    :: atomic {
           COPY(r, s) == READ ->
           if
           :: IS_FENCED(s) || IS_OLD(s) -> COPY(r, s) = SHUTDOWN
           :: else -> COPY(r, s) = ENTERED
           fi
       }
    /* the gate: submit_open(), submit_closed() */
    :: atomic {
           COPY(r, s) == ENTERED ->
           if
           :: gate[OF(s)] == OPEN_A -> COPY(r, s) = AT_PORT
           :: gate[OF(s)] == HOLDING -> COPY(r, s) = HELD
           :: gate[OF(s)] == OPEN_B -> COPY(r, s) = SHUTDOWN /* perform() */
           fi
       }
    :: atomic { COPY(r, s) == HELD && gate[OF(s)] == OPEN_A -> COPY(r, s) = AT_PORT }
    :: atomic { COPY(r, s) == HELD && gate[OF(s)] == OPEN_B -> COPY(r, s) = SHUTDOWN }
    :: atomic { COPY(r, s) == AT_PORT -> perform(r); COPY(r, s) = ANSWERED }
    od
}

/* session_table_close(): what waits at the gate is sent back */
inline bounce(o)
{
    k = 0;
    do
    :: k < R * S ->
       if
       :: copies[k] == HELD && OF(k % S) == o -> copies[k] = SHUTDOWN
       :: else
       fi;
       k++
    :: else -> break
    od;
    k = 0
}

inline count_inside(o)
{
    at_port = 0;
    inside = 0;
    k = 0;
    do
    :: k < R * S ->
       if
       :: OF(k % S) == o && copies[k] == AT_PORT -> at_port++
       :: OF(k % S) == o && copies[k] == ENTERED -> inside++
       :: else
       fi;
       k++
    :: else -> break
    od;
    k = 0
}

/* What runs at o dies, with its connections. */
inline dies(o)
{
    k = 0;
    do
    :: k < R * S ->
       if
       :: OF(k % S) == o && k % S < sessions -> copies[k] = NO_COPY
       :: else
       fi;
       k++
    :: else -> break
    od;
    k = 0;
    do
    :: k < sessions ->
       if
       :: OF(k) == o && opening[k] != ASKED -> opening[k] = STALE
       :: else
       fi;
       k++
    :: else -> break
    od;
    k = 0;
    newest[o] = 0;
    first[o] = 1;
    current[o] = 0;
    gate[o] = OPEN_B
}

#ifdef GIVER
/* The client's own service dies. Its VM sends all again that has no answer; that some
 * of it was doubtful, nobody knows any more. What is on its way to owner 0 stays so. */
inline client_dies()
{
    lanes_shutdown();
    channel = IDLE;
    k = 0;
    do
    :: k < R ->
       doubtful[k] = false;
       was_doubtful[k] = was_doubtful[k] || request[k] == WAITING;
       k++
    :: else -> break
    od;
    k = 0;
    do
    :: k < R * R -> follows_doubt[k] = false; k++
    :: else -> break
    od;
    k = 0
}
#endif

/* The handoffs, and the crashes. */
proctype owners()
{
    byte k, o, at_port, inside;

end:
    do
    /* step_hold() */
    :: atomic {
           move == NO_MOVE && moves < MAX_MOVES && !calm && gate[owner] == OPEN_A &&
           !IS_MINE ->
           gate[owner] = HOLDING;
           move = DRAIN
       }
#ifdef GIVER
    /* step_prepare(): peer.prepare makes owner 0 expect the epoch; connect_channels() */
    :: atomic {
           move == NO_MOVE && moves < MAX_MOVES && !calm && owner == 1 &&
           gate[1] == OPEN_A && is_up[0] && channel == IDLE && sessions < S ->
           sessions++;
           session_owner[CUR] = 0;
           session_epoch[CUR] = epoch + 1;
           newest[0] = sessions;
           opening[CUR] = FENCING;
           channel = CONNECTING;
           move = PREPARE
       }
    :: atomic { move == PREPARE && channel == UP -> gate[1] = HOLDING; move = DRAIN }
    :: atomic { move == PREPARE && channel == IDLE -> move = NO_MOVE }
#endif
    /* step_drain(), step_eject(): disk_eject() */
    :: atomic {
           move == DRAIN ->
           count_inside(owner);
           if
           :: at_port > 0
           :: at_port == 0 && !calm -> gate[owner] = OPEN_A; move = NO_MOVE /* aborted */
           :: at_port == 0 ->
              first[owner] = 1;
              current[owner] = 0;
              bounce(owner);
              owner = 1 - owner;
              epoch++;
              moves++;
              move = EJECTED
           fi;
           at_port = 0;
           inside = 0
       }
    /* takeover_assign(): the next owner serves; hear(): the giver follows */
    :: atomic {
           move == EJECTED && is_up[owner] ->
#ifndef BUG_ASSIGN_DOES_NOT_WAIT /* else: as the code is; see docs/model.md */
           bounce(owner);
           count_inside(owner);
#endif
           if
           :: inside > 0
           :: else ->
              first[owner] = epoch;
              current[owner] = epoch;
              gate[owner] = OPEN_A;
              gate[1 - owner] = OPEN_B;
              move = SERVING
           fi;
           at_port = 0;
           inside = 0
       }
    /* make_durable() */
    :: atomic {
           move == SERVING ->
#ifdef BUG_TAKE_BACK_SERVES_OLD
           owned_since = epoch;
#endif
           move = NO_MOVE
       }
    /* it dies before that, comes back, and knows nothing of it */
    :: atomic {
           move == SERVING && !calm && forgets < MAX_FORGETS && sessions < S ->
           forgets++;
           dies(owner);
#ifdef GIVER
           if
           :: owner == 1 -> client_dies()
           :: else
           fi;
#endif
           move = EJECTED
       }
    /* refused: step_take_back() */
    :: atomic {
           move == EJECTED && !calm && moves < MAX_MOVES ->
           o = 1 - owner;
#ifndef BUG_TAKE_BACK_DOES_NOT_WAIT
           bounce(o);
           count_inside(o);
#endif
           if
           :: inside > 0
           :: else ->
              owner = o;
              epoch++;
              moves++;
#ifdef BUG_TAKE_BACK_SERVES_OLD
              first[owner] = owned_since;
#else
              first[owner] = epoch;
#endif
              current[owner] = epoch;
              gate[owner] = OPEN_A;
              move = NO_MOVE
           fi;
           at_port = 0;
           inside = 0;
           o = 0
       }
    /* a service dies, its connections with it, and is started again */
    :: atomic {
           !calm && crashes < MAX_CRASHES && sessions < S && move != PREPARE &&
           move != SERVING ->
#ifdef GIVER
           o = 0;
#else
           if
           :: o = 0
           :: o = 1
           fi;
#endif
           crashes++;
           dies(o);
           if
           :: move == DRAIN && owner == o -> move = NO_MOVE
           :: else
           fi;
           if
           :: move == NO_MOVE && owner == o ->
              first[o] = epoch;
              current[o] = epoch;
              gate[o] = OPEN_A
           :: else
           fi;
           o = 0
       }
    :: atomic { !calm -> calm = true }
    od
}

#define ALL_DONE (request[0] == DONE && request[1] == DONE && request[R - 1] == DONE)

init
{
    byte i, j;

    atomic {
        for (i : 0 .. R - 1) {
            request[i] = NOT_YET
        }
        for (i : 0 .. S - 1) {
            opening[i] = NO_OPENING
        }
        for (i : 0 .. R * S - 1) {
            copies[i] = NO_COPY
        }
        channel = IDLE;
        move = NO_MOVE;
        is_up[0] = true;
        is_up[1] = true;
        gate[0] = OPEN_A;
        gate[1] = OPEN_B;
        first[0] = 1;
        current[0] = 1;
        first[1] = 1;
        for (i : 0 .. R - 1) {
            run thread(i);
            for (j : 0 .. S - 1) {
                run worker(i, j)
            }
        }
        for (i : 0 .. S - 1) {
            run opener(i)
        }
        i = 0;
        j = 0;
        run connect();
        run owners()
    };
    /* Nobody can do anything any more, so it is calm: every request has its answer. */
    timeout;
    assert(ALL_DONE || sessions == S) /* or all the sessions of this model are used up */
}
