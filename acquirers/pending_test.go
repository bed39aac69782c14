package acquirers

import (
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
	"pgregory.net/rapid"
)

// stoppedBank has lines without connections.
func stoppedBank(t testing.TB, links int) (*Bank, []*line) {
	b, err := New(Config{ID: "test", Endpoints: []string{hostAddr}, LinksPerEndpoint: links, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))},
		builtin(t), Hooks{NextSeq: func() (uint64, error) { return 1, nil }})
	if err != nil {
		t.Fatal(err)
	}
	var lines []*line
	for _, k := range b.links {
		lines = append(lines, newLine(k))
	}
	return b, lines
}

// modelled is what the model knows of one flight in the table.
type modelled struct {
	flight   *flight
	line     *line
	handed   bool
	deadline time.Time
}

// The table against a model: every flight ends exactly once, by the first thing
// that ends it, with the fate its phase implies.
func TestPendingAgainstModel(t *testing.T) {
	b, lines := stoppedBank(t, 3)
	var keys [8]iso.Key
	for i := range keys {
		b.Current().dialect.RequestKey(buildOp(t, b.Current().dialect, iso.OpPurchase, uint64(i)), &keys[i])
	}
	var pool []*flight
	rapid.Check(t, func(t *rapid.T) {
		p := newPending()
		now := p.start
		open := map[int]*modelled{}
		ended := func(m *modelled, fate Fate, cause Cause) {
			select {
			case <-m.flight.done:
			default:
				t.Fatal("the owner was not woken")
			}
			if m.flight.fate != fate || m.flight.cause != cause {
				t.Fatalf("ended as %s (%s), want %s (%s)", m.flight.fate, m.flight.cause, fate, cause)
			}
			pool = append(pool, m.flight)
		}
		lost := func(m *modelled) Fate {
			if m.handed {
				return Unanswered
			}
			return NotSent
		}
		key := rapid.IntRange(0, len(keys)-1)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				f, i := &flight{done: make(chan struct{}, 1)}, key.Draw(t, "key")
				if len(pool) > 0 {
					f, pool = pool[len(pool)-1], pool[:len(pool)-1]
				}
				l := rapid.SampledFrom(lines).Draw(t, "line")
				f.begin()
				f.key, f.link, f.epoch = keys[i], int32(l.link.number), l.epoch
				deadline := now.Add(time.Duration(rapid.IntRange(0, 25_000).Draw(t, "ms")) * time.Millisecond)
				if p.add(f, deadline) != (open[i] == nil) {
					t.Fatal("a key in flight was taken twice, or a free one refused")
				}
				if open[i] == nil {
					open[i] = &modelled{flight: f, line: l, deadline: deadline}
				}
			},
			"hand": func(t *rapid.T) {
				if m := open[key.Draw(t, "key")]; m != nil && !m.handed {
					word := m.flight.state.Load()
					m.handed = m.flight.state.CompareAndSwap(word, word-phaseQueued+phaseHanded)
				}
			},
			"answer": func(t *rapid.T) {
				i, l := key.Draw(t, "key"), rapid.SampledFrom(lines).Draw(t, "line")
				f, verdict := p.claim(&keys[i], l)
				m := open[i]
				want := claimWon
				switch {
				case m == nil:
					want = claimNobody
				case m.line != l:
					want = claimWrongLink
				case !m.handed:
					want = claimNotSent
				}
				if verdict != want || want == claimWon && f != m.flight {
					t.Fatalf("verdict %d, want %d", verdict, want)
				}
				if want == claimWon {
					pool = append(pool, f)
					delete(open, i)
				}
			},
			"lose": func(t *rapid.T) {
				l := rapid.SampledFrom(lines).Draw(t, "line")
				p.lose(l, CauseLinkLost)
				for i, m := range open {
					if m.line == l {
						ended(m, lost(m), CauseLinkLost)
						delete(open, i)
					}
				}
			},
			"turn": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 15_000).Draw(t, "ms")) * time.Millisecond)
				p.expire(now)
				for i, m := range open {
					switch {
					case !now.Before(m.deadline.Add(2 * wheelTick)):
						ended(m, lost(m), CauseTimeout)
						delete(open, i)
					case len(m.flight.done) == 1 && !now.Before(m.deadline):
						ended(m, lost(m), CauseTimeout)
						delete(open, i)
					}
				}
			},
			"": func(t *rapid.T) {
				if int(p.count.Load()) != len(open) {
					t.Fatalf("%d in the table, want %d", p.count.Load(), len(open))
				}
				for _, m := range open {
					if len(m.flight.done) != 0 {
						t.Fatal("an owner was woken for nothing")
					}
				}
			},
		})
	})
}

// A panic while reading ends the link, not the process, and the next line works.
func TestReaderPanicEndsTheLineOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		r := newRig(t, h, nil)
		r.await(true)
		synctest.Wait()
		r.links[0].line.Load().incoming = nil
		r.pay(r.purchase(1), 0).want(t, Unanswered, CauseLinkLost)
		synctest.Wait()
		if r.count("panic") != 1 {
			t.Fatalf("alarms %v", r.alarms)
		}
		r.await(true)
		r.pay(r.purchase(2), 0).want(t, Answered, CauseNone)
	})
}

// FuzzHostileStream feeds the reader any bytes, in two parts: it never panics,
// never takes more than it was given, and ends a flight only with an answer
// that carries its key.
func FuzzHostileStream(f *testing.F) {
	b, lines := stoppedBank(f, 1)
	l := lines[0]
	request := buildOp(f, b.Current().dialect, iso.OpPurchase, 7)
	helper := &hostConn{host: &host{t: f, d: b.Current().dialect}}
	good := helper.frame(helper.reply(request, "00"))
	echo := helper.frame(buildOp(f, b.Current().dialect, iso.OpEcho, 9))
	f.Add(good, 0)
	f.Add(append(echo, good...), 3)
	f.Add([]byte("0000"), 1)
	f.Add([]byte("9999"), 2)
	f.Add([]byte("0003abc"), 5)
	var key iso.Key
	b.Current().dialect.RequestKey(request, &key)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		owner := &flight{done: make(chan struct{}, 1), answer: new(iso.Message)}
		word := owner.begin()
		owner.key, owner.link, owner.epoch = key, 1, l.epoch
		if !b.pending.add(owner, time.Now().Add(time.Hour)) {
			t.Fatal("the table is not empty")
		}
		owner.state.Store(word - phaseQueued + phaseHanded)
		cut = min(max(cut, 0), len(stream))
		used, err := l.frames(stream[:cut])
		if used > cut {
			t.Fatalf("took %d of %d bytes", used, cut)
		}
		if err == nil {
			if more, _ := l.frames(stream[used:]); used+more > len(stream) {
				t.Fatalf("took %d of %d bytes", used+more, len(stream))
			}
		}
		if b.pending.remove(owner) {
			return
		}
		<-owner.done
		var got iso.Key
		if !b.Current().dialect.AnswerKey(owner.answer, &got) || got != key {
			t.Fatal("the flight ended with an answer of another key")
		}
	})
}
