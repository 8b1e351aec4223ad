from setuptools import setup

PACKAGE = "bm_policy"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=[PACKAGE],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml", "README.md"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=True,
    license="Apache-2.0",
    description="ROS 2 node that runs a policy bundle on the Unitree G1",
    entry_points={"console_scripts": ["policy = bm_policy.node:main"]},
)
