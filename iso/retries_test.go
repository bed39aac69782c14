package iso

import (
	"strings"
	"testing"
	"time"
)

// TestRetryRulesOfTheSchemes holds the file to the numbers the schemes publish.
func TestRetryRulesOfTheSchemes(t *testing.T) {
	visa, mastercard := Retries().Of("visa"), Retries().Of("mastercard")
	if !visa.Stops || visa.StopFor != 0 || len(visa.Limits) != 1 || visa.Limits[0] != (RetryLimit{20, 30 * 24 * time.Hour}) {
		t.Errorf("visa: %+v", visa)
	}
	if len(mastercard.Limits) != 2 || mastercard.Limits[0] != (RetryLimit{10, 24 * time.Hour}) || mastercard.Limits[1] != (RetryLimit{35, 30 * 24 * time.Hour}) {
		t.Errorf("mastercard: %+v", mastercard)
	}
	if Retries().Of("mir") != Retries().Of("unknown") {
		t.Error("a scheme that is not named has rules of its own")
	}
}

func TestRetryRulesRefused(t *testing.T) {
	const good = "version: 1\nschemes:\n  other: {stops: true, limits: [{declines: 5, within_hours: 24}]}\n"
	if _, err := ParseRetryRules("good.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ from, to, want string }{
		{"version: 1", "version: 2", "version"},
		{"other", "visa", "schemes.other"},
		{"  other", "  vista: {}\n  other", "schemes.vista"},
		{"stops", "stop", "line 3"},
		{"stops: true", "stop_days: -1", "stop_days"},
		{"declines: 5", "declines: 0", "declines"},
		{"within_hours: 24", "within_hours: 721", "within_hours"},
	} {
		_, err := ParseRetryRules("bad.yaml", []byte(strings.Replace(good, tt.from, tt.to, 1)))
		if err == nil || !strings.HasPrefix(err.Error(), "bad.yaml: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.to, err, tt.want)
		}
	}
}
