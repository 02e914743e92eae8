"""Joins two network namespaces by a path with delay and loss, for kernels without netem: a TUN device in each namespace,
and this program between them. Arguments: namespace and address of one end, then of the other, delay each way in ms,
share of packets lost, rate each way in Mbit/s (0: no limit), seed. A path with a rate has a queue of 50 ms. Prints
"ready" when the path exists; ends when its input ends."""

import fcntl, heapq, os, random, selectors, struct, subprocess, sys, time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MAX_WAITING = 20_000
QUEUE_SECONDS = 0.05

def open_tun(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device

def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)

def main():
    first, first_address, second, second_address, delay_ms, loss, rate, seed = sys.argv[1:]
    delay, loss, chance = float(delay_ms) / 1000, float(loss), random.Random(int(seed))
    seconds_per_byte = 8 / (float(rate) * 1e6) if float(rate) > 0 else 0
    free_at = {}
    names = [f"slow{os.getpid()}{end}" for end in "ab"]
    devices = [open_tun(name) for name in names]
    for name, netns, own, other in ((names[0], first, first_address, second_address),
                                    (names[1], second, second_address, first_address)):
        ip("link", "set", name, "netns", netns)
        ip("-n", netns, "addr", "add", own, "peer", other, "dev", name)
        ip("-n", netns, "link", "set", name, "up", "txqueuelen", "5000")
    print("ready", flush=True)

    selector = selectors.DefaultSelector()
    for device in devices:
        selector.register(device, selectors.EVENT_READ)
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    waiting, count = [], 0
    while True:
        now = time.monotonic()
        wait = max(0, waiting[0][0] - now) if waiting else None
        for key, _ in selector.select(wait):
            if key.fd == sys.stdin.fileno():
                if not os.read(key.fd, 1000):
                    return
                continue
            now = time.monotonic()
            for _ in range(64):
                try:
                    packet = os.read(key.fd, 2000)
                except BlockingIOError:
                    break
                if chance.random() < loss or len(waiting) >= MAX_WAITING:
                    continue
                other = devices[1] if key.fd == devices[0] else devices[0]
                begin = max(now, free_at.get(other, 0))
                if begin - now > QUEUE_SECONDS:
                    continue
                free_at[other] = begin + len(packet) * seconds_per_byte
                count += 1
                heapq.heappush(waiting, (free_at[other] + delay, count, other, packet))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, device, packet = heapq.heappop(waiting)
            try:
                os.write(device, packet)
            except OSError:
                pass

main()
