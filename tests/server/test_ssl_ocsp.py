"""ngx.ocsp."""

import hashlib

import tls
from ssl_phases import certificates, run_phases  # noqa: F401 (the fixtures)
from ssl_phases import PORTS, SET, talk


def test_ocsp(run, ca, tmp_path):
    index = tmp_path / "index"
    request = tmp_path / "request"
    response = tmp_path / "response"
    revoked = tmp_path / "revoked"
    tls.openssl("ocsp", "-issuer", ca.path("ca.pem"), "-cert",
                ca.path("one.test.pem"), "-reqout", request, "-no_nonce")
    ca.issue("responder", usage="OCSPSigning")
    states = {response: ("V\t491231235959Z\t", "ca"),
              revoked: ("R\t491231235959Z\t200101000000Z", "ca"),
              tmp_path / "delegated": ("V\t491231235959Z\t", "responder"),
              tmp_path / "other": ("V\t491231235959Z\t", "two.test")}
    for out, (state, signer) in states.items():
        index.write_text("%s\t%X\tunknown\t/CN=one.test\n"
                         % (state, serial(ca, "one")))
        tls.openssl("ocsp", "-index", index, "-rsigner",
                    ca.path(f"{signer}.pem"), "-rkey",
                    ca.path(f"{signer}.key"), "-CA", ca.path("ca.pem"),
                    "-reqin", request, "-respout", out, "-ndays", "1")
    for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        path.chmod(0o755)
    server = run(SET % (ca.folder, OCSP % tmp_path),
                 "ngx.say(ngx.shared.notes:get('seen'))")
    said = talk(server, ca, "TLS", "one.test").splitlines()
    assert said == [
        "http://127.0.0.1:1/ocsp", "http truncated", "d2i_X509_bio() failed",
        hashlib.md5(request.read_bytes()).hexdigest(),
        f"output buffer too small: {len(request.read_bytes())} > 1",
        "no issuer certificate in chain", "true",
        "certificate status not found in the OCSP response",
        "d2i_OCSP_RESPONSE() failed",
        "OCSP response not successful (6: unauthorized)",
        'certificate status "revoked" in the OCSP response',
        "true", "OCSP_basic_verify() failed",
        "OCSP_basic_verify() failed",
        "trueno status req"]
    for port in PORTS:
        done = tls.openssl(
            "s_client", "-connect", f"127.0.0.1:{server.port(port)}",
            "-servername", "one.test", "-status", "-CAfile",
            ca.path("ca.pem"), stdin=-3)
        assert b"OCSP Response Status: successful" in done.stdout
        assert b"Cert Status: good" in done.stdout


OCSP = """
        local ocsp = require "ngx.ocsp"
        local chain = assert(ssl.cert_pem_to_der(read("one.test-chain.pem")))
        local function load(name)
            local file = assert(io.open("%s/" .. name))
            local text = file:read("*a")
            file:close()
            return text
        end
        local response = load("response")
        local other = ssl.cert_pem_to_der(read("two.test-chain.pem"))
        assert(ssl.set_der_cert(chain))
        assert(ssl.set_der_priv_key(ssl.priv_key_pem_to_der(
            read("one.test.key"))))
        local function err(_, why) return why end
        local out = {
            ocsp.get_ocsp_responder_from_der_chain(chain),
            table.concat({ocsp.get_ocsp_responder_from_der_chain(chain, 4)},
                         " "),
            err(ocsp.get_ocsp_responder_from_der_chain("x")),
            ngx.md5(ocsp.create_ocsp_request(chain)),
            err(ocsp.create_ocsp_request(chain, 1)),
            err(ocsp.create_ocsp_request(ssl.cert_pem_to_der(
                read("one.test.pem")))),
            tostring(ocsp.validate_ocsp_response(response, chain)),
            err(ocsp.validate_ocsp_response(response, other)),
            err(ocsp.validate_ocsp_response("x", chain)),
            err(ocsp.validate_ocsp_response("\\48\\3\\10\\1\\6", chain)),
            err(ocsp.validate_ocsp_response(load("revoked"), chain)),
            tostring(ocsp.validate_ocsp_response(load("delegated"), chain)),
            err(ocsp.validate_ocsp_response(load("other"), chain)),
            err(ocsp.validate_ocsp_response(
                response:sub(1, 150) ..
                string.char((response:byte(151) + 1) %% 256) ..
                response:sub(152), chain)),
        }
        local ok, warning = ocsp.set_ocsp_status_resp(response)
        out[#out + 1] = tostring(ok) .. tostring(warning)
        ngx.shared.notes:set("seen", table.concat(out, "\\n"))
"""


def serial(ca, name):
    done = tls.openssl("x509", "-in", ca.path(f"{name}.test.pem"), "-noout",
                       "-serial")
    return int(done.stdout.decode().strip().split("=")[1], 16)
