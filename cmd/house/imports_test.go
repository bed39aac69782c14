package house

import (
	"fmt"
	"strings"
)

// floors maps a top-level folder to its floor. Imports point to a lower floor,
// or into the same folder.
var floors = map[string]int{
	"iso": 0, "storage": 0, "acquirers": 1, "switch": 2, "frontend": 3, "bench": 4, "cmd": 5,
}

// simulator may know nothing of ours but the standard's vocabulary: its books are
// the independent witness of what the switch did.
const simulator = "acquirers/banksim"

// guests are outside modules that live in few rooms only.
var guests = []struct {
	module string
	rooms  []string // folders where it may be imported
	files  int      // at most so many files that are not tests; 0: no limit
	file   string   // one more file where it may be imported
}{
	{module: "github.com/moov-io/iso8583", rooms: []string{"iso", "bench/goals"}, file: "acquirers/transport.go"},
	{module: "github.com/moov-io/iso8583-connection", rooms: []string{"acquirers"}, files: 1},
	{module: "github.com/cockroachdb/pebble", rooms: []string{"storage"}, files: 2},
	{module: "github.com/miekg/pkcs11", rooms: []string{"acquirers/keystore"}, files: 2},
	{module: "github.com/wneessen/go-mail", rooms: []string{"frontend/mail"}, files: 1},
	{module: "github.com/jackc/pgx", rooms: []string{"storage"}, files: 1},
	{module: "golang.org/x/net", rooms: []string{"frontend/design"}},
	{module: "github.com/tdewolff/parse", rooms: []string{"frontend/design"}, files: 4},
	{module: "github.com/chromedp", rooms: []string{"frontend/browser"}},
	{module: "github.com/valyala/fasthttp", rooms: []string{"frontend", "bench"}},
}

// plainStack is the reference that is made of the guests themselves: what a team
// would build with them as they come.
const plainStack = "bench/plain"

// importsFloors: imports of our own packages point down.
func importsFloors(tr *tree) (bad []string) {
	for _, s := range tr.sources {
		from := top(s.dir)
		level, known := floors[from]
		for _, p := range s.imports {
			if p != module && !within(p, module) {
				continue
			}
			to := strings.TrimPrefix(strings.TrimPrefix(p, module), "/")
			if !known {
				bad = append(bad, fmt.Sprintf("%s: folder %s has no floor", s.path, from))
				continue
			}
			if why := refusedImport(s, level, to); why != "" {
				bad = append(bad, fmt.Sprintf("%s: imports %s: %s", s.path, to, why))
			}
		}
	}
	return bad
}

func refusedImport(s *source, level int, to string) string {
	switch {
	case within(s.dir, simulator):
		if !within(to, simulator) && !within(to, "iso") {
			return "the simulated bank knows only iso"
		}
	case within(to, simulator) && !s.test && level < floors["bench"]:
		return "only tests, bench and cmd may use the simulated bank"
	case top(to) == top(s.dir):
	case floors[top(to)] >= level:
		return "imports point down only"
	}
	return ""
}

// importsGuests: an outside module stays in its room.
func importsGuests(tr *tree) (bad []string) {
	for _, g := range guests {
		var files []string
		for _, s := range tr.sources {
			for _, p := range s.imports {
				if !within(p, g.module) && !versioned(p, g.module) || within(s.dir, plainStack) {
					continue
				}
				if !inRooms(s, g.rooms) && s.path != g.file {
					bad = append(bad, fmt.Sprintf("%s: imports %s, which belongs to %v only", s.path, p, g.rooms))
				} else if !s.test && (len(files) == 0 || files[len(files)-1] != s.path) {
					files = append(files, s.path)
				}
			}
		}
		if g.files > 0 && len(files) > g.files {
			bad = append(bad, fmt.Sprintf("%s: imported by %v, may be imported by %d file", g.module, files, g.files))
		}
	}
	return bad
}

func inRooms(s *source, rooms []string) bool {
	for _, r := range rooms {
		if within(s.dir, r) {
			return true
		}
	}
	return false
}

func top(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}

// within: p is the folder (or module) root or lies under it.
func within(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

// versioned: p is root with a major version suffix, or lies under it.
func versioned(p, root string) bool {
	rest, ok := strings.CutPrefix(p, root+"/v")
	return ok && rest != "" && rest[0] >= '2' && rest[0] <= '9'
}
