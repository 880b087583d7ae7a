#!/usr/bin/python3
"""A live RTSP server of GStreamer (gst-rtsp-server) for tests, with faults that can be switched on while it plays.

One argument: a JSON object of options (see gst.ts). Mounts: /h264 (with PCMA sound), /h264na (without), /h265 (with sound),
/mjpeg, /fwd, which serves again what a separate encoder sends to a UDP port, and /clip-h264 and /clip-h265, which play a
Matroska file to each client from its beginning.
Standard input, one switch a line: stall=1 | vstall=1 | tsstuck=1 | drop=PERCENT | noidr=1 | tsjump=TICKS | kbps=N |
pattern=N | reset. It ends when its standard input does.
Standard output, one JSON object a line: what was asked of it, and how many sessions it has."""
import json
import os
import random
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

Gst.init(None)
OPTIONS = json.loads(sys.argv[1])
FAULTS = {"stall": 0, "vstall": 0, "tsstuck": 0, "drop": 0.0, "noidr": 0, "tsjump": 0}
NO_FAULTS = dict(FAULTS)
stuck_at = {}
playing = []
unread = b""
loop = GLib.MainLoop()


def say(event, **more):
    # in one piece: several threads tell at once
    sys.stdout.write(json.dumps({"event": event, **more}) + "\n")
    sys.stdout.flush()


def is_silent(name):
    return FAULTS["stall"] or (FAULTS["vstall"] and name == "pay0")


def tampered(buffer, name):
    """The packet as the fault wants it, None where it is lost."""
    if FAULTS["drop"] and random.random() * 100 < FAULTS["drop"]:
        return None
    if not (FAULTS["tsstuck"] or FAULTS["tsjump"]):
        return buffer
    packet = bytearray(buffer.extract_dup(0, buffer.get_size()))
    stamp = int.from_bytes(packet[4:8], "big")
    if FAULTS["tsstuck"]:
        stamp = stuck_at.setdefault(name, stamp)
    packet[4:8] = ((stamp + int(FAULTS["tsjump"])) % 2**32).to_bytes(4, "big")
    other = Gst.Buffer.new_wrapped(bytes(packet))
    other.pts, other.dts = buffer.pts, buffer.dts
    return other


def on_packets(pad, info, name):
    if is_silent(name):
        return Gst.PadProbeReturn.DROP
    if not (FAULTS["drop"] or FAULTS["tsstuck"] or FAULTS["tsjump"]):
        return Gst.PadProbeReturn.OK
    if info.type & Gst.PadProbeType.BUFFER_LIST:
        several = info.get_buffer_list()
        packets = [several.get(i) for i in range(several.length())]
    else:
        packets = [info.get_buffer()]
    for packet in packets:
        sent = tampered(packet, name)
        if sent is not None:
            pad.get_peer().chain(sent)
    return Gst.PadProbeReturn.DROP


def on_coded(_pad, info):
    is_key = not info.get_buffer().has_flags(Gst.BufferFlags.DELTA_UNIT)
    return Gst.PadProbeReturn.DROP if FAULTS["noidr"] and is_key else Gst.PadProbeReturn.OK


def on_configure(_factory, media):
    bin_ = media.get_element()
    playing.append(bin_)
    media.connect("unprepared", lambda _media: bin_ in playing and playing.remove(bin_))
    for name in ("pay0", "pay1"):
        payloader = bin_.get_by_name(name)
        if payloader is not None:
            kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
            payloader.get_static_pad("src").add_probe(kinds, on_packets, name)
    encoder = bin_.get_by_name("encoder")
    if encoder is not None:
        encoder.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, on_coded)


def switch(line):
    name, _, value = line.strip().partition("=")
    if name == "reset":
        FAULTS.update(NO_FAULTS)
        stuck_at.clear()
    elif name in ("kbps", "pattern"):
        for bin_ in playing:
            element = bin_.get_by_name("encoder" if name == "kbps" else "camera")
            if element is not None:
                element.set_property("bitrate" if name == "kbps" else "pattern", int(value))
    elif name in FAULTS:
        stuck_at.clear()
        FAULTS[name] = float(value)
    say("switched", line=line.strip())


def on_input(fd, _condition):
    global unread
    got = os.read(fd, 4096)
    if got == b"":
        loop.quit()
        return False
    *lines, unread = (unread + got).split(b"\n")
    for line in lines:
        switch(line.decode())
    return True


server = GstRtspServer.RTSPServer()


def mount(path, launch, shared=True):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch("( " + launch + " )")
    factory.set_shared(shared)
    factory.connect("media-configure", on_configure)
    if OPTIONS.get("udpOnly"):
        factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
    if OPTIONS.get("auth"):
        permissions = GstRtspServer.RTSPPermissions()
        for what in ("access", "construct"):
            permissions.add_permission_for_role("user", "media.factory." + what, True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory(path, factory)


def mounts():
    size = f"format=I420,width={OPTIONS['width']},height={OPTIONS['height']},framerate={OPTIONS['fps']}/1"
    camera = f"videotestsrc name=camera is-live=true pattern={OPTIONS['pattern']} ! video/x-raw,{size} ! "
    rate = f"bitrate={OPTIONS['kbps']} key-int-max={OPTIONS['gop']} tune=zerolatency speed-preset=ultrafast"
    h264 = camera + f"x264enc name=encoder {rate} ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1"
    h265 = camera + f"x265enc name=encoder {rate} ! h265parse ! rtph265pay name=pay0 pt=96 config-interval=-1"
    sound = (
        " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=8000,channels=1 ! alawenc"
        " ! rtppcmapay name=pay1 pt=8"
    )
    mount("/h264", h264 + sound)
    mount("/h264na", h264)
    mount("/h265", h265 + sound)
    mount("/mjpeg", camera + "jpegenc ! rtpjpegpay name=pay0 pt=26")
    for coded, file in OPTIONS.get("clips", {}).items():
        parts = f"{coded}parse ! rtp{coded}pay name=pay0 pt=96 config-interval=0"
        mount(f"/clip-{coded}", f"filesrc location={file} ! matroskademux ! {parts}", shared=False)
    codec, number, parts = {
        "H264": ("H264", 96, "rtph264depay ! h264parse ! rtph264pay config-interval=-1"),
        "H265": ("H265", 96, "rtph265depay ! h265parse ! rtph265pay config-interval=-1"),
        "MJPEG": ("JPEG", 26, "rtpjpegdepay ! jpegparse ! rtpjpegpay"),
    }[OPTIONS["forwards"]]
    caps = f"application/x-rtp,media=video,clock-rate=90000,encoding-name={codec},payload={number}"
    source = f'udpsrc address=127.0.0.1 port={OPTIONS["forwardPort"]} caps="{caps}"'
    mount("/fwd", f"{source} ! rtpjitterbuffer latency=50 ! {parts} name=pay0 pt={number}")


def protect():
    kind, tls = OPTIONS.get("auth"), OPTIONS.get("tls")
    if not kind and not tls:
        return
    auth = GstRtspServer.RTSPAuth()
    if kind:
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        user, password = OPTIONS["user"], OPTIONS["password"]
        if kind == "basic":
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        else:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
    if tls:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(tls["cert"], tls["key"]))
    server.set_auth(auth)


def watch(method):
    def seen(_client, context):
        code, _ = context.request.get_header(GstRtsp.RTSPHeaderField.AUTHORIZATION, 0)
        say(method, login=code == GstRtsp.RTSPResult.OK)
        return GstRtsp.RTSPStatusCode.OK

    return seen


METHODS = ("options", "describe", "setup", "play", "teardown", "get-parameter", "set-parameter")


def on_client(_server, client):
    say("client")
    client.connect("closed", lambda _client: say("hung-up"))
    client.connect("new-session", on_session)
    for method in METHODS:
        client.connect(f"pre-{method}-request", watch(method))


def on_session(_client, session):
    session.set_timeout(OPTIONS["timeoutS"])
    say("session", count=server.get_session_pool().get_n_sessions())


def count_sessions():
    """Sessions whose time is over go; what is left is told whenever it is another number."""
    pool = server.get_session_pool()
    pool.cleanup()
    count = pool.get_n_sessions()
    if count != count_sessions.last:
        say("sessions", count=count)
    count_sessions.last = count
    return True


count_sessions.last = 0
mounts()
protect()
server.set_address("127.0.0.1")
server.set_service(str(OPTIONS["port"]))
server.connect("client-connected", on_client)
if server.attach(None) == 0:
    sys.exit("cannot listen")
GLib.timeout_add(100, count_sessions)
GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, 0, GLib.IO_IN | GLib.IO_HUP, on_input)
say("ready", port=server.get_bound_port())
loop.run()
