package acquirers

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

// A length of two gibibytes ends the link when it is read: nothing is allocated
// for the message it promises, and nothing waits for it.
func TestOversizeLengthAllocatesNothing(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "iso", "dialects", "binary87.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	wide := strings.Replace(string(text), "kind: len-bin, width: 2", "kind: len-bin, width: 4", 1)
	d, err := iso.ParseDialect("wide", []byte(wide))
	if err != nil || wide == string(text) {
		t.Fatalf("a dialect with a length of four bytes: %v", err)
	}
	bothWays(t, simnet.Options{}, func(t *testing.T, h *host, open func(func(*Config)) *rig) {
		h.d = d
		r := open(nil)
		r.await(true)
		opened := r.Status().Links[0].Opened
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const rounds = 20
		for range rounds {
			h.conn(h.count()).Write([]byte{0x7f, 0xff, 0xff, 0xff, '0'})
			synctest.Wait()
			if r.Ready() == nil {
				t.Fatal("the link waits for two gibibytes")
			}
			r.await(true)
		}
		runtime.ReadMemStats(&after)
		// A new line costs its read buffer here, and another in the test's host.
		if grown := (after.TotalAlloc - before.TotalAlloc) / rounds; grown > 512<<10 {
			t.Errorf("%d bytes were allocated for each oversize length", grown)
		}
		if n := r.Status().Links[0].Opened; n != opened+rounds || r.count("lost_framing") != rounds {
			t.Errorf("%d lines for %d oversize lengths, alarms %v", n-opened, rounds, r.alarms)
		}
	})
}
