package auth_test

import (
	"testing"

	"go.uber.org/goleak" // sees goroutines that a test leaves behind

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/storage/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemStoreKeepsThePromises(t *testing.T) { storetest.Auth(t, newMemStore) }

func TestMemoryChallengesKeepThePromises(t *testing.T) {
	storetest.Challenges(t, func(testing.TB) auth.ChallengeStore { return &auth.MemoryChallenges{} })
}
