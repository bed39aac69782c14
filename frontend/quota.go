package frontend

import (
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	payswitch "github.com/tranzit/tranzit/switch"
)

// quota is one merchant's rate limit in one mode: a token bucket. The headers
// describe it as a quota of burst requests per window, where the window is how
// long an empty bucket takes to fill (draft-ietf-httpapi-ratelimit-headers-10).
type quota struct {
	limiter *rate.Limiter
	policy  []byte
	rate    float64 // requests per second
	burst   int
}

func newQuota(perSecond float64, burst int) *quota {
	q := &quota{limiter: rate.NewLimiter(rate.Limit(perSecond), burst), rate: perSecond, burst: burst}
	q.policy = append(q.policy, `"merchant";q=`...)
	q.policy = strconv.AppendInt(q.policy, int64(burst), 10)
	q.policy = append(q.policy, ";w="...)
	q.policy = strconv.AppendInt(q.policy, wholeSeconds(float64(burst)/perSecond), 10)
	return q
}

// wholeSeconds rounds up, at least 1, within what a header should say.
func wholeSeconds(s float64) int64 {
	return int64(math.Ceil(min(max(s, 1), 1e9)))
}

// take spends one request. If it cannot, retry is how long until it could.
func (q *quota) take(now time.Time) (retry time.Duration, ok bool) {
	if q.limiter.AllowN(now, 1) {
		return 0, true
	}
	short := 1 - q.limiter.TokensAt(now)
	return time.Duration(wholeSeconds(short/q.rate)) * time.Second, false
}

// appendState appends the value of the RateLimit header: what is left, and the
// seconds until the quota is whole again.
func (q *quota) appendState(dst []byte) []byte {
	left := min(max(q.limiter.Tokens(), 0), float64(q.burst))
	dst = append(dst, `"merchant";r=`...)
	dst = strconv.AppendInt(dst, int64(left), 10)
	dst = append(dst, ";t="...)
	return strconv.AppendInt(dst, wholeSeconds((float64(q.burst)-left)/q.rate), 10)
}

type quotaKey struct {
	merchant string
	live     bool
}

// quotas holds the buckets of all merchants that have a limit. Reading takes no
// lock; a merchant's first request, or the first after its limit was changed,
// copies the table.
type quotas struct {
	table atomic.Pointer[map[quotaKey]*quota]
	mu    sync.Mutex
}

// of gives the merchant's bucket, or nil when it has no limit.
func (t *quotas) of(a payswitch.Account) *quota {
	m := a.Merchant
	if m.RatePerSecond <= 0 {
		return nil
	}
	burst := m.Burst
	if burst < 1 {
		burst = max(1, int(math.Ceil(min(m.RatePerSecond, math.MaxInt32))))
	}
	key := quotaKey{m.ID, a.Live}
	if table := t.table.Load(); table != nil {
		if q := (*table)[key]; q != nil && q.rate == m.RatePerSecond && q.burst == burst {
			return q
		}
	}
	return t.renew(key, m.RatePerSecond, burst)
}

func (t *quotas) renew(key quotaKey, perSecond float64, burst int) *quota {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := map[quotaKey]*quota{}
	if table := t.table.Load(); table != nil {
		for k, q := range *table {
			next[k] = q
		}
	}
	if q := next[key]; q != nil && q.rate == perSecond && q.burst == burst {
		return q
	}
	next[key] = newQuota(perSecond, burst)
	t.table.Store(&next)
	return next[key]
}
