//go:build linux && !race

package iso

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A hundred dialects, each of a file that stands on two others, load in a second
// of processor time: what else the machine does is not counted.
func TestAHundredDialectsLoadInASecond(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"base.yaml": "inherits: ascii87\n", "bank.yaml": "inherits: base.yaml\n" + child} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start := processorTime(t)
	for range 100 {
		if _, err := LoadFile(filepath.Join(dir, "bank.yaml")); err != nil {
			t.Fatal(err)
		}
	}
	if took := processorTime(t) - start; took > time.Second {
		t.Errorf("100 dialects load in %s", took)
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
