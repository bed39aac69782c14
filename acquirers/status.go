package acquirers

import (
	"strconv"
	"time"
)

// Status is a bank's state at one moment, for people and health checks.
type Status struct {
	Bank     string       `json:"bank"`
	Ready    bool         `json:"ready"`
	Reason   string       `json:"reason,omitempty"` // when not ready
	Payment  WindowStatus `json:"payment"`
	Reversal WindowStatus `json:"reversal"`
	Links    []LinkStatus `json:"links"`
	Refused  uint64       `json:"refused_peers,omitempty"` // connections closed because of who made or took them
}

// WindowStatus is one class's part of the window.
type WindowStatus struct {
	InFlight int `json:"in_flight"`
	Limit    int `json:"limit"`
}

// LinkStatus is one link. Times are zero when the event has not happened.
type LinkStatus struct {
	Number    int           `json:"number"`
	Dialect   string        `json:"dialect"` // what it speaks, or shall when it is connected next
	Version   int           `json:"version"`
	Endpoint  string        `json:"endpoint"` // where we dial or listen
	Peer      string        `json:"peer,omitempty"`
	State     string        `json:"state"` // stopped, dialing or accepting, signing_on, ready, signed_off_by_bank, waiting_to_reconnect or waiting_for_the_bank
	Since     time.Time     `json:"since,omitzero"`
	Opened    uint64        `json:"opened"` // connections made so far
	InFlight  int           `json:"in_flight"`
	Queued    int           `json:"queued"`
	LastRead  time.Time     `json:"last_read,omitzero"`
	LastEcho  time.Time     `json:"last_echo,omitzero"`
	RTT       time.Duration `json:"rtt_ns"` // of the latest answer
	LastError string        `json:"last_error,omitempty"`
}

// Status returns a snapshot. Goroutine-safe.
func (b *Bank) Status() Status {
	ready := len(*b.ready.Load())
	scale := max(1, ready)
	s := Status{Bank: b.cfg.ID, Ready: true,
		Payment:  WindowStatus{int(b.taken[ClassPayment].Load()), scale * (b.cfg.Window - b.cfg.ReversalShare)},
		Reversal: WindowStatus{int(b.taken[ClassReversal].Load()), scale * b.cfg.ReversalShare},
	}
	if ready == 0 || b.draining.Load() {
		s.Ready, s.Reason = false, b.reason()
	}
	for _, k := range b.links {
		s.Links = append(s.Links, k.status())
	}
	for i := range refusals {
		s.Refused += b.metrics.refused[i].Load()
	}
	return s
}

func (k *link) name() string { return strconv.Itoa(k.number) }

func (k *link) status() LinkStatus {
	k.mu.Lock()
	s := LinkStatus{Number: k.number, Endpoint: k.endpoint, State: string(k.state), Since: k.since, Opened: k.lines, LastError: k.lastError}
	k.mu.Unlock()
	speaks, l := k.wanted.Load(), k.line.Load()
	gone := l == nil || l.isGone()
	if !gone {
		speaks = l.version
	}
	s.Dialect, s.Version = speaks.dialect.ID(), speaks.dialect.Version()
	if gone {
		return s
	}
	if s.State == string(stateReady) && l.signedOff.Load() {
		s.State = string(stateSignedOff)
	}
	s.Peer = l.wire.RemoteAddr().String()
	s.InFlight, s.Queued, s.RTT = int(l.inFlight.Load()), l.queue.len(), time.Duration(l.rtt.Load())
	s.LastRead = time.Unix(0, l.lastRead.Load()).UTC()
	if at := l.lastEcho.Load(); at != 0 {
		s.LastEcho = time.Unix(0, at).UTC()
	}
	return s
}
