"""The package's log messages: shown unchanged by the command only."""

import logging
import subprocess
import sys

from emotiw.console import messages_shown

LOG = logging.getLogger("emotiw.data_prep.somewhere")


def test_messages_are_shown_as_they_are_while_the_block_runs(capsys):
    with messages_shown():
        LOG.info("100 %s of it")
        LOG.debug("for developers")
        logging.getLogger("emotiw.engine.caffe.install.debian").info("on the way")
        logging.getLogger("another").info("another's")
    LOG.info("too late")
    assert capsys.readouterr() == ("100 %s of it\n", "on the way\n")


def test_each_block_shows_them_once(capsys):
    for _ in range(2):
        with messages_shown():
            LOG.info("once")
    assert capsys.readouterr().out == "once\nonce\n"


def test_a_library_user_sees_no_log_and_help_skips_logging():
    code = (
        "import sys; from emotiw.__main__ import build_parser; build_parser('prepare').format_help()\n"
        "assert 'logging' not in sys.modules\n"
        "import logging; from emotiw.train import stage; logging.getLogger('emotiw.train.stage').info('progress')"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
