/** Brackets over crashes of the primary: which are taken over, and by what. */
import t from 'tap';
import { OpenBrackets, type StreamEvent, Timeline } from '../../userland/repl/brackets.js';
import { ReplBracketReason as Reason } from '../../userland/repl/codec.js';

function open(sequence: number, reason: Reason, set = 1): StreamEvent {
  return { kind: 'open', sequence, set: reason === Reason.crash ? 0 : set, reason };
}

function close(sequence: number, bracket: number): StreamEvent {
  return { kind: 'close', sequence, bracket };
}

function openAfter(...events: StreamEvent[]): number[] {
  const brackets = new OpenBrackets();
  for (const event of events) brackets.note(event);
  return brackets.list().map(({ sequence }) => sequence);
}

t.test('a start after a crash takes over brackets about changes', (t) => {
  t.same(openAfter(open(5, Reason.lost), open(7, Reason.order), open(100, Reason.crash)), [100]);
  t.same(openAfter(open(100, Reason.crash), open(200, Reason.crash)), [200]);
  t.same(openAfter(open(5, Reason.lost), open(100, Reason.crash), close(120, 100)), []);
  t.end();
});

t.test('what is about everything in a set stays until another one takes over', (t) => {
  const crash = open(100, Reason.crash);
  t.same(openAfter(open(5, Reason.initial), crash), [5, 100]);
  t.same(openAfter(open(5, Reason.entered), crash, close(110, 100)), [5]);
  t.same(openAfter(open(5, Reason.initial), crash, open(101, Reason.initial)), [100, 101]);
  t.same(openAfter(open(5, Reason.entered), crash, open(101, Reason.resync)), [100, 101]);
  // Of another set.
  t.same(openAfter(open(5, Reason.initial), crash, open(101, Reason.initial, 2)), [5, 100, 101]);
  // Over two crashes.
  const again = open(200, Reason.crash);
  t.same(openAfter(open(5, Reason.initial), crash, again, open(201, Reason.initial)), [200, 201]);
  t.end();
});

t.test('without a crash nothing is taken over', (t) => {
  t.same(openAfter(open(5, Reason.initial), open(9, Reason.resync)), [5, 9]);
  t.same(openAfter(open(5, Reason.lost), open(9, Reason.lost), close(12, 5)), [9]);
  t.end();
});

t.test('the tree stays at the last point before all of it', (t) => {
  const timeline = new Timeline();
  timeline.add(open(10, Reason.crash));
  timeline.add(open(100, Reason.crash));
  t.equal(timeline.consistent(150), 9);
  timeline.add(close(160, 100));
  t.equal(timeline.consistent(159), 9);
  t.equal(timeline.consistent(170), 170);
  t.end();
});
