package main

import "testing"

func TestOnlyASmallHeapGetsMoreRoomThanUsual(t *testing.T) {
	for _, c := range []struct {
		used    uint64
		percent int
	}{
		{0, maxPercent},
		{1 << 20, maxPercent},
		{heapRoom / 2, 200},
		{heapRoom, 100},
		{1 << 40, 100},
	} {
		if got := heapPercent(c.used); got != c.percent {
			t.Errorf("%d bytes in use: %d %%, want %d %%", c.used, got, c.percent)
		}
	}
}
