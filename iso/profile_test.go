package iso

import "testing"

func TestBuiltinProfilesLoad(t *testing.T) {
	for _, name := range BuiltinProfiles() {
		problems, err := LintProfile(name)
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v %v", name, problems, err)
		}
	}
}
