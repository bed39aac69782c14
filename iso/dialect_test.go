package iso

import "testing"

func TestBuiltinsLoad(t *testing.T) {
	for _, name := range Builtins() {
		text, err := builtinFiles.ReadFile("dialects/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range Lint(name+".yaml", text) {
			t.Error(p)
		}
	}
}
