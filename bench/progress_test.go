package bench

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestProgress: lines are lines, a block is drawn over the one before, no line is too
// long, and whatever comes next begins a line.
func TestProgress(t *testing.T) {
	for _, live := range []bool{false, true} {
		var b bytes.Buffer
		p := newProgress(&Options{Progress: &b, Live: live, Warmup: time.Second, Duration: 3 * time.Second, Rate: 1000})
		for i := 1; i <= 3; i++ {
			p.second(Second{Second: i, Answered: uint64(1000 * i), Bad: 7, InFlight: 12, P99: 1234})
		}
		p.happened(Happened{At: 1.5, Name: "alfa is down " + strings.Repeat("x", 100), Error: "no\nway"})
		p.end()
		text := b.String()
		if !strings.HasSuffix(text, "\n") || !strings.Contains(text, "1.23ms") || !strings.Contains(text, "2.5s alfa is down") {
			t.Errorf("live %v: %q", live, text)
		}
		if strings.Contains(text, "\x1b") != live || strings.Contains(text, "\x1b[5A") != live {
			t.Errorf("live %v: %q", live, text)
		}
		if live {
			for line := range strings.Lines(text) {
				if n := len([]rune(strings.TrimSuffix(line, "\x1b[K\n"))); n > lineWidth+len("\x1b[5A\r") {
					t.Errorf("%d columns: %q", n, line)
				}
			}
			if !strings.Contains(text, "6,000") && !strings.Contains(text, "of 6,021") {
				t.Errorf("no sum in %q", text)
			}
		}
	}
}
