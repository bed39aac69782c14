package sim

import (
	"bytes"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// frame is one message that the switch put on a wire.
type frame struct {
	inst, bank int
	at         time.Time
	mti        iso.MTI
	field      map[int]string
}

// wireFields are those that the invariants look at.
var wireFields = []int{2, 3, 4, 7, 11, 32, 37, 41, 42, 49, 90, 95}

// tap is the switch's end of a connection to a bank. It sees every byte before
// the network does.
type tap struct {
	*simnet.Conn
	inst *instance
	bank int
}

// Write implements net.Conn.
func (t *tap) Write(p []byte) (int, error) {
	i := t.inst
	if i.dead.Load() {
		return 0, errUnplugged
	}
	if i.refuses() {
		_ = t.Conn.Close()
		return 0, errRefused
	}
	frames := t.decode(p)
	i.strictly(frames)
	last := false
	if i.doomed.Load() && i.death.by == byWrite && i.writes.Add(1) == i.death.k {
		// The platter is taken before the bytes leave: what they tell the bank
		// must already be on it.
		if last = i.dieAtWrite(t); last && !i.death.leaves {
			return 0, errUnplugged
		}
	}
	n, err := t.Conn.Write(p)
	if last {
		_ = t.Conn.Close()
	}
	if n == 0 {
		return n, err
	}
	w := i.w
	w.mu.Lock()
	w.frames = append(w.frames, frames...)
	w.mu.Unlock()
	for _, f := range frames {
		w.note("wire %d -> %s: %s stan %s rrn %s amount %s", i.n, bankNames[t.bank], f.mti, f.field[11], f.field[37], f.field[4])
	}
	return n, err
}

var errRefused = &net.OpError{Op: "write", Net: "sim", Err: syscall.ECONNRESET}

// refuses: now and then the network takes no byte of a write, so that what was
// in it provably never left.
func (i *instance) refuses() bool {
	if i.w.faults&linkFaults == 0 || i.w.calm.Load() {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return oneIn(i.dice, 12)
}

// dieAtWrite is die, but spares the connection of t until its bytes have left.
func (i *instance) dieAtWrite(t *tap) bool {
	i.mu.Lock()
	for n, c := range i.conns {
		if c == t {
			i.conns = append(i.conns[:n:n], i.conns[n+1:]...)
			break
		}
	}
	i.mu.Unlock()
	died := i.die("write to a bank")
	if !died || !i.death.leaves {
		_ = t.Conn.Close()
	}
	return died
}

func (t *tap) decode(p []byte) (out []frame) {
	d := dialects[t.bank]
	var m iso.Message
	for len(p) > 0 {
		body, n, err := d.NextFrame(p)
		if err != nil || n == 0 {
			t.inst.w.broken(18, "a write to bank %d is not whole frames: %v", t.bank, err)
			return out
		}
		p = p[n:]
		if body == nil {
			continue
		}
		if err := d.Decode(body, &m); err != nil {
			t.inst.w.broken(18, "a frame to bank %d does not decode: %v", t.bank, err)
			continue
		}
		f := frame{inst: t.inst.n, bank: t.bank, at: time.Now(), mti: m.MTI, field: map[int]string{}}
		for _, n := range wireFields {
			if v := m.Get(n); v != nil {
				f.field[n] = string(v)
			}
		}
		out = append(out, f)
	}
	return out
}

// strictly compares frames about to leave with the platter: the reference
// number of each must stand in what a power cut would leave.
func (i *instance) strictly(frames []frame) {
	if !i.w.strict {
		return
	}
	var platter *storage.Disk
	for _, f := range frames {
		if f.mti.Class() != 1 && f.mti.Class() != 2 || f.mti.Origin() != 0 {
			continue // a repeat's intent may be older than this instance's logs
		}
		if platter == nil {
			platter = i.disk.CrashClone(storage.Crash{})
		}
		if !onPlatter(platter, []byte(f.field[37])) && !i.dead.Load() {
			i.w.broken(1, "the request with RRN %s is on the wire and its intent is not on the platter", f.field[37])
		}
		i.w.hit("frame_compared_with_platter")
	}
}

// strictlyAnswered compares an answer about to be given with the platter.
func (i *instance) strictlyAnswered(p *payswitch.Payment) {
	id := p.ID
	if !i.w.strict || i.dead.Load() || id.Time().Add(time.Duration(-i.w.clock.Load())).Before(i.began.Add(-time.Millisecond)) || i.w.faults&clockSteps != 0 {
		return
	}
	key := append(id[:], 0, 0, 0, byte(p.Version))
	if !onPlatter(i.disk.CrashClone(storage.Crash{}), key) && !i.dead.Load() {
		i.w.broken(2, "payment %s is answered and its outcome is not on the platter", p.Name())
	}
	i.w.hit("answer_compared_with_platter")
}

// onPlatter looks in the logs, which are not compressed. What this instance
// wrote is still there, because a life is too short to fill a memtable.
func onPlatter(d *storage.Disk, what []byte) bool {
	for _, name := range d.Files() {
		if strings.HasSuffix(name, ".log") && bytes.Contains(d.ReadFile(name), what) {
			return true
		}
	}
	return false
}
