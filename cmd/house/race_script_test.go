package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shaky is a package whose test fails as the environment says.
const shaky = `package shaky

import (
	"os"
	"testing"
)

func failing(t *testing.T) {
	f, err := os.OpenFile(os.Getenv("SHAKY_COUNT"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(t.Name() + " "); err != nil {
		t.Fatal(err)
	}
	runs, _ := os.ReadFile(os.Getenv("SHAKY_COUNT"))
	switch os.Getenv("SHAKY") {
	case "once":
		if string(runs) == "TestOne " {
			t.Error("the first run fails")
		}
	case "always", "many":
		t.Error("every run fails")
	case "race":
		t.Error("WARNING: DATA RACE")
	case "panic":
		panic("as asked")
	}
}

func TestOne(t *testing.T) { failing(t) }

func TestMore(t *testing.T) {
	if os.Getenv("SHAKY") == "many" {
		t.Error("this, too")
	}
}

func TestYetMore(t *testing.T) { TestMore(t) }

func TestLast(t *testing.T) { TestMore(t) }
`

// TestRaceScript runs scripts/race.sh on a package of its own: a test that fails
// once is named and does not end the run, whatever else fails does.
func TestRaceScript(t *testing.T) {
	script, err := filepath.Abs("../../scripts/race.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module shaky\n", "shaky_test.go": shaky} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		fails string
		ok    bool
		runs  string // of the test that fails
		says  string
	}{
		{"never", true, "TestOne ", ""},
		{"once", true, "TestOne TestOne ", "race: FLAKY, to be mended: shaky TestOne"},
		{"always", false, "TestOne TestOne ", "race: once more: shaky TestOne"},
		{"many", false, "TestOne ", ""},
		{"race", false, "TestOne ", ""},
		{"panic", false, "TestOne ", ""},
	} {
		count := filepath.Join(t.TempDir(), "runs")
		run := exec.Command(script, "go", "test", "-count", "1", "./...")
		run.Dir = dir
		run.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "SHAKY="+c.fails, "SHAKY_COUNT="+count)
		out, err := run.CombinedOutput()
		if (err == nil) != c.ok {
			t.Errorf("%s: %v\n%s", c.fails, err, out)
		}
		if runs, _ := os.ReadFile(count); string(runs) != c.runs {
			t.Errorf("%s: the test ran as %q, want %q\n%s", c.fails, runs, c.runs, out)
		}
		if got := strings.Contains(string(out), "race: "); got != (c.says != "") || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: the script says\n%s", c.fails, out)
		}
	}
}
