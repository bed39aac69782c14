package payswitch

import "testing"

// TestChangeKeysIsRefused: an operator is told when there is nothing to change.
func TestChangeKeysIsRefused(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for _, c := range []struct {
			bank string
			act  Act
			want Code
		}{
			{"alfa", Act{}, CodeInvalidRequest},
			{"nobody", rigAct, CodeNotFound},
			{"alfa", rigAct, CodeInvalidState},
		} {
			if err := r.core.ChangeKeys(c.bank, c.act); codeOf(err) != c.want {
				t.Errorf("%s: %v, want %v", c.bank, err, c.want)
			}
		}
	})
}
